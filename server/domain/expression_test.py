"""The values and steps of expressions, and the errors of malformed ones."""

import math
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from server.domain import expression
from server.domain.arithmetic import Operation, format_number
from server.domain.errors import (
    CalculatorError,
    DivisionByZeroError,
    MalformedExpressionError,
    ResultOverflowError,
    TooLongError,
    UndefinedError,
)
from server.domain.expression import Step, evaluate
from server.domain.functions import FUNCTIONS


def _value(text: str) -> float:
    *_, value = evaluate(text)
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2*(3+4)^2", 98),
        ("10-4-3", 3),
        ("100/10/5", 2),
        ("2^3^2", 512),
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2^-1", 0.5),
        ("-2^-2", -0.25),
        ("2*-3", -6),
        ("3--2", 5),
        ("--3", 3),
        ("17%5*2", 4),
        ("-7%4", -3),
        (" 1 +\t2\n", 3),
        (".5+1.", 1.5),
        ("1.5e-3*1E3", 1.5),
        ("1+2*3", 7),
        ("((((1))))", 1),
        ("+5", 5),
        ("3 - +4", -1),
        ("-+-2", 2),
        ("+2^2", 4),
        ("2^+1", 2),
        ("2 \u00d7 3", 6),
        ("2 \u22c5 3", 6),
        ("6 \u00f7 2", 3),
        ("5 \u2212 3", 2),
        ("\u22125", -5),
        ("1\u00a0+\u20092\u202f*\u30003", 7),
        ("sqrt(9)^2", 9),
        ("-sqrt(4)^2", -4),
        ("2^-abs(-1)", 0.5),
        ("round(7/2)%3", 1),
        (" max ( 1 , 5-2,2 ) * 2", 6),
        ("min(-1, +1)", -1),
        ("2e3", 2000),
        ("2*e", 2 * math.e),
        ("e-1", math.e - 1),
        ("1e0*e", math.e),
        ("\u03c0", math.pi),
    ],
)
def test_operators_have_the_precedence_of_mathematics(text: str, value: float) -> None:
    assert _value(text) == value


def test_each_step_has_its_operation_and_the_remaining_expression() -> None:
    *steps, value = evaluate("2*(3+4)^2")
    assert [(s.operation, s.operands, s.result, s.remaining) for s in steps if isinstance(s, Step)] == [
        (Operation.ADD, (3, 4), 7, "2*7^2"),
        (Operation.POWER, (7, 2), 49, "2*49"),
        (Operation.MULTIPLY, (2, 49), 98, "98"),
    ]
    assert value == 98


def test_functions_and_constants_are_steps() -> None:
    *steps, value = evaluate("max(2, sqrt(9), -1)*-e")
    assert [(s.operation, s.operands, s.result, s.remaining) for s in steps if isinstance(s, Step)] == [
        (FUNCTIONS["sqrt"], (9,), 3, "max(2,3,-1)*(-e)"),
        (FUNCTIONS["max"], (2, 3, -1), 3, "3*(-e)"),
        (FUNCTIONS["e"], (), math.e, "3*(-2.718281828459045)"),
        (Operation.MULTIPLY, (3, -math.e), -3 * math.e, "-8.154845485377136"),
    ]
    assert value == -3 * math.e


NAMES = "pi, e, sqrt, abs, ln, log, exp, sin, cos, tan, asin, acos, atan, min, max, round"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a number, a name, a parenthesis or a sign is expected, not the end at position 1"),
        ("2+", "a number, a name, a parenthesis or a sign is expected, not the end at position 3"),
        ("2**3", "a number, a name, a parenthesis or a sign is expected, not '*' at position 3"),
        ("2 3", "an operator is expected, not '3' at position 3"),
        ("(1+2", "the parenthesis of position 1 is not closed before the end at position 5"),
        ("(1 2)", "the parenthesis of position 1 is not closed before '2' at position 4"),
        ("1)", "no parenthesis is open at position 2"),
        ("x", f"one of the names {NAMES} is expected, not 'x' at position 1"),
        ("1+Sin(1)", f"one of the names {NAMES} is expected, not 'Sin' at position 3"),
        ("2*e3", f"one of the names {NAMES} is expected, not 'e3' at position 3"),
        ("x" * 1000, f"one of the names {NAMES} is expected, not '{'x' * 20}' at position 1"),
        ("#", "a number, a name, a parenthesis or a sign is expected, not '#' at position 1"),
        ("2pi", "an operator, such as *, is expected before 'pi' at position 2"),
        ("2e", "an operator, such as *, is expected before 'e' at position 2"),
        ("2(3+4)", "an operator, such as *, is expected before '(' at position 2"),
        ("sqrt(2pi)", "an operator, such as *, is expected before 'pi' at position 7"),
        ("pi(2)", "an operator, such as *, is expected before '(' at position 3"),
        ("1,5", "an operator or a decimal point is expected, not ',' at position 2"),
        ("max(1,(2,3))", "an operator or a decimal point is expected, not ',' at position 9"),
        ("sqrt", "a parenthesis is expected after sqrt, not the end at position 5"),
        ("sqrt 9", "a parenthesis is expected after sqrt, not '9' at position 6"),
        ("1+sqrt()", "1 argument is expected, not 0, by sqrt at position 3"),
        ("1+sqrt(1,2)", "1 argument is expected, not 2, by sqrt at position 3"),
        ("max()", "1 or more arguments are expected, not 0, by max at position 1"),
        ("max(1,)", "a number, a name, a parenthesis or a sign is expected, not ')' at position 7"),
        ("max(1,2", "the parenthesis of position 4 is not closed before the end at position 8"),
        ("1.2.3", "an operator is expected, not '.' at position 4"),
        ("٣", "a number, a name, a parenthesis or a sign is expected, not '٣' at position 1"),
    ],
)
def test_a_malformed_expression_is_rejected_with_its_position_before_any_step(text: str, message: str) -> None:
    with pytest.raises(MalformedExpressionError) as refused:
        next(evaluate(text))
    assert str(refused.value) == message
    assert message.endswith(f"at position {refused.value.metadata['position']}")


@pytest.mark.parametrize(
    ("nested", "levels"),
    [("({})", 1), ("-{}", 1), ("1^{}", 1), ("(-{})", 2), ("sqrt({})", 1), ("max(0,{},0)", 1)],
)
def test_nesting_is_accepted_up_to_the_maximum(nested: str, levels: int) -> None:
    text = "1"
    for _ in range(expression.MAX_DEPTH // levels):
        text = nested.format(text)
    assert abs(_value(text)) == 1
    with pytest.raises(TooLongError):
        next(evaluate(nested.format(text)))


def test_length_is_accepted_up_to_the_maximum() -> None:
    longest = "1" + "+1" * ((expression.MAX_LENGTH - 1) // 2)
    assert _value(longest) == (expression.MAX_LENGTH + 1) // 2
    with pytest.raises(TooLongError):
        next(evaluate(longest.ljust(expression.MAX_LENGTH + 1)))


def test_steps_are_accepted_up_to_the_maximum() -> None:
    most = f"abs({'+'.join(['e'] * (expression.MAX_STEPS // 2))})"  # each e is a step, and each + but the last
    assert len([*evaluate(most)]) == expression.MAX_STEPS + 1
    with pytest.raises(TooLongError, match="the expression needs 501 steps; accepted: 500"):
        next(evaluate(f"abs({most})"))


@pytest.mark.parametrize("argument", ["1", "e", "1/3", "-exp(1)"])
def test_all_steps_of_the_longest_argument_list_have_at_most_three_megabytes(argument: str) -> None:
    longest = f"max({','.join([argument] * ((expression.MAX_LENGTH - 4) // (len(argument) + 1)))})"
    steps = [step for step in evaluate(longest) if isinstance(step, Step)]
    assert 0 < len(steps) <= expression.MAX_STEPS
    assert sum(len(step.remaining) for step in steps) < 3_000_000
    assert sum(len(step.operands) for step in steps) <= expression.MAX_LENGTH


def test_steps_before_an_error_are_yielded() -> None:
    steps = evaluate("1+2/(3-3)")
    assert isinstance(next(steps), Step)
    with pytest.raises(DivisionByZeroError):
        next(steps)


def test_a_number_that_is_too_large_is_an_error() -> None:
    with pytest.raises(ResultOverflowError):
        next(evaluate("1e999"))


@pytest.mark.parametrize("text", ["1/0", "(-8)^0.5", "1e308*10", "1e999", "sqrt(-1)", "exp(1000)", "(", "1" * 1001])
def test_an_error_names_the_field_of_the_request_that_has_the_expression(text: str) -> None:
    with pytest.raises(CalculatorError) as refused:
        list(evaluate(text))
    assert refused.value.field == "expression"


UNARY = [name for name, function in FUNCTIONS.items() if function.arguments == 1]
PYTHON = {name: getattr(math, name, None) for name in FUNCTIONS} | {
    "abs": abs,
    "ln": math.log,
    "log": math.log10,
    "min": lambda *numbers: min(numbers),
    "max": lambda *numbers: max(numbers),
    "round": lambda number: math.copysign(int(Decimal(number).to_integral_value(ROUND_HALF_UP)), number),
}


def _trees() -> st.SearchStrategy[str]:
    numbers = st.integers(0, 99).map(lambda number: str(number / 4))
    return st.recursive(
        numbers | st.sampled_from(["pi", "e"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map("".join),
            inner.map("({})".format),
            inner.map("(-{})".format),
            st.tuples(st.sampled_from(UNARY), inner).map("{0[0]}({0[1]})".format),
            st.tuples(st.sampled_from(["min", "max"]), st.lists(inner, min_size=1, max_size=3).map(", ".join)).map(
                "{0[0]}({0[1]})".format
            ),
        ),
        max_leaves=20,
    ).filter(lambda text: len(text) <= expression.MAX_LENGTH)


def _progress(text: str) -> list[Step | float]:
    """Evaluate an expression; discard expressions whose results are too large."""
    try:
        return [*evaluate(text)]
    except (ResultOverflowError, UndefinedError):
        reject()


@given(_trees())
def test_values_equal_those_of_python(text: str) -> None:
    try:
        value = _value(text)
    except ResultOverflowError:
        reject()  # Python continues with infinity
    except UndefinedError:
        with pytest.raises(ValueError, match=r"domain|expected"):
            eval(text, PYTHON)
    else:
        assert value == eval(text, PYTHON)  # an independent parser of the same grammar; the text is ours


@given(_trees())
def test_the_remaining_expression_of_each_step_has_the_same_value(text: str) -> None:
    *steps, value = _progress(text)
    for step in steps:
        assert isinstance(step, Step)
        assert _value(step.remaining) == value


@given(_trees())
def test_the_last_step_has_the_value_up_to_its_sign(text: str) -> None:
    *steps, value = _progress(text)
    assume(steps)
    assert isinstance(steps[-1], Step)
    assert isinstance(value, float)
    assert abs(steps[-1].result) == abs(value)


_TOKENS = [*FUNCTIONS, *"(),+-*/%^.", "1", "2e3", "\u03c0", " ", "sine"]


@given(
    st.text(alphabet="0123456789.eE+-*/%^(), x", max_size=60)
    | st.text(max_size=20)
    | st.lists(st.sampled_from(_TOKENS), max_size=30).map("".join)
)
def test_any_text_is_either_evaluated_or_rejected_with_a_position_in_the_text(text: str) -> None:
    value, position = 0.0, 1
    try:
        value = _value(text)
    except CalculatorError as error:
        position = int(error.metadata.get("position", position))
    assert math.isfinite(value)
    assert 1 <= position <= len(text) + 1


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_formatted_number_parses_to_the_same_number(number: float) -> None:
    assert float(format_number(number)) == number
