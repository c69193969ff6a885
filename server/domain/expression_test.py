"""The values and steps of expressions, and the errors of malformed ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import expression
from server.domain.arithmetic import format_number
from server.domain.errors import (
    CalculatorError,
    DivisionByZeroError,
    MalformedExpressionError,
    ResultOverflowError,
    TooLongError,
)
from server.domain.expression import Step, evaluate


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
    ],
)
def test_operators_have_the_precedence_of_mathematics(text: str, value: float) -> None:
    assert _value(text) == value


def test_each_step_has_its_operation_and_the_remaining_expression() -> None:
    *steps, value = evaluate("2*(3+4)^2")
    assert [(s.operation.value, s.first, s.second, s.result, s.remaining) for s in steps if isinstance(s, Step)] == [
        ("+", 3, 4, 7, "2*7^2"),
        ("^", 7, 2, 49, "2*49"),
        ("*", 2, 49, 98, "98"),
    ]
    assert value == 98


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a number, a parenthesis or a sign is expected, not the end at position 1"),
        ("2+", "a number, a parenthesis or a sign is expected, not the end at position 3"),
        ("2**3", "a number, a parenthesis or a sign is expected, not '*' at position 3"),
        ("2 3", "an operator is expected, not '3' at position 3"),
        ("(1+2", "the parenthesis of position 1 is not closed before the end at position 5"),
        ("(1 2)", "the parenthesis of position 1 is not closed before '2' at position 4"),
        ("1)", "no parenthesis is open at position 2"),
        ("x", "a number, a parenthesis or a sign is expected, not 'x' at position 1"),
        ("1.2.3", "an operator is expected, not '.' at position 4"),
        ("٣", "a number, a parenthesis or a sign is expected, not '٣' at position 1"),
    ],
)
def test_a_malformed_expression_is_rejected_with_its_position_before_any_step(text: str, message: str) -> None:
    with pytest.raises(MalformedExpressionError) as refused:
        next(evaluate(text))
    assert str(refused.value) == message
    assert message.endswith(f"at position {refused.value.metadata['position']}")


@pytest.mark.parametrize(("nested", "levels"), [("({})", 1), ("-{}", 1), ("1^{}", 1), ("(-{})", 2)])
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


def test_steps_before_an_error_are_yielded() -> None:
    steps = evaluate("1+2/(3-3)")
    assert isinstance(next(steps), Step)
    with pytest.raises(DivisionByZeroError):
        next(steps)


def test_a_number_that_is_too_large_is_an_error() -> None:
    with pytest.raises(ResultOverflowError):
        next(evaluate("1e999"))


def _trees() -> st.SearchStrategy[str]:
    numbers = st.integers(0, 99).map(str)
    return st.recursive(
        numbers,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map("".join),
            inner.map("({})".format),
            inner.map("(-{})".format),
        ),
        max_leaves=20,
    )


@given(_trees())
def test_values_equal_those_of_python(text: str) -> None:
    expected = float(eval(text))  # an independent parser of the same grammar; the text is ours
    if math.isfinite(expected) and len(text) <= expression.MAX_LENGTH:
        assert _value(text) == pytest.approx(expected)


@given(_trees())
def test_the_remaining_expression_of_each_step_has_the_same_value(text: str) -> None:
    *steps, value = evaluate(text)
    for step in steps:
        assert isinstance(step, Step)
        assert _value(step.remaining) == pytest.approx(value)


@given(st.text(alphabet="0123456789.eE+-*/%^() x", max_size=60) | st.text(max_size=20))
def test_any_text_is_either_evaluated_or_rejected(text: str) -> None:
    try:
        value = _value(text)
    except CalculatorError:
        return
    assert math.isfinite(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_formatted_number_parses_to_the_same_number(number: float) -> None:
    assert float(format_number(number)) == number
