"""The values of functions and constants, and the errors of arguments for which a function has no value."""

import math
from decimal import ROUND_HALF_UP, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import CalculatorError, ResultOverflowError, UndefinedError
from server.domain.functions import FUNCTIONS, apply

finite = st.floats(allow_nan=False, allow_infinity=False)


def _apply(name: str, *arguments: float) -> float:
    return apply(FUNCTIONS[name], arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("pi", (), 3.141592653589793),
        ("e", (), 2.718281828459045),
        ("sqrt", (2,), 1.4142135623730951),
        ("abs", (-2.5,), 2.5),
        ("ln", (2,), 0.6931471805599453),
        ("log", (1000,), 3),
        ("exp", (1,), 2.718281828459045),
        ("exp", (-1000,), 0),
        ("sin", (1,), 0.8414709848078965),
        ("cos", (2,), -0.4161468365471424),
        ("tan", (1,), 1.5574077246549023),
        ("tan", (math.pi / 2,), 1.633123935319537e16),  # the double pi/2 is slightly below the pole
        ("asin", (-1,), -math.pi / 2),
        ("acos", (-1,), math.pi),
        ("atan", (1e300,), math.pi / 2),
        ("min", (3, -1, 2), -1),
        ("max", (3, -1, 2), 3),
        ("max", (-5,), -5),
        ("round", (2.5,), 3),
        ("round", (-2.5,), -3),
        ("round", (0.49999999999999994,), 0),  # adding 0.5 gives 1
    ],
)
def test_a_function_has_the_value_of_mathematics(name: str, arguments: tuple[float, ...], value: float) -> None:
    assert _apply(name, *arguments) == pytest.approx(value, rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("name", "argument", "accepted"),
    [
        ("sqrt", -1e-300, "numbers from 0"),
        ("ln", 0, "numbers above 0"),
        ("ln", -1, "numbers above 0"),
        ("log", 0, "numbers above 0"),
        ("asin", 1.0000000000000002, "numbers from -1 to 1"),
        ("acos", -2, "numbers from -1 to 1"),
    ],
)
def test_an_argument_without_a_real_result_is_an_error_with_the_accepted_arguments(
    name: str, argument: float, accepted: str
) -> None:
    with pytest.raises(UndefinedError) as refused:
        _apply(name, argument)
    assert str(refused.value) == f"{name}({argument}) is not a real number; accepted: {accepted}"


def test_a_result_beyond_the_largest_number_is_an_error() -> None:
    with pytest.raises(ResultOverflowError, match=r"exp\(1000\) is beyond the largest number, 1.7976931348623157e308"):
        _apply("exp", 1000)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(numbers=st.lists(finite, min_size=1, max_size=4))
def test_a_result_is_finite_or_an_error_that_explains_itself(name: str, numbers: list[float]) -> None:
    arguments = numbers[: FUNCTIONS[name].arguments]
    try:
        value = _apply(name, *arguments)
    except CalculatorError as error:
        message = str(error)
    else:
        assert math.isfinite(value)
        return
    assert message.startswith(f"{name}(")
    assert not message.endswith("accepted: ")


@given(finite | st.integers(-(2**54), 2**54).map(lambda number: number / 2))
def test_round_returns_the_nearest_integer_and_rounds_halves_away_from_zero(number: float) -> None:
    exact = Decimal(number).to_integral_value(ROUND_HALF_UP, Context(prec=400))  # Decimal rounds halves away from zero
    assert _apply("round", number) == exact
    assert math.copysign(1, _apply("round", number)) == math.copysign(1, number)


@given(st.lists(finite, min_size=1, max_size=9))
def test_min_and_max_are_the_ends_of_the_sorted_numbers(numbers: list[float]) -> None:
    ordered = sorted(numbers)
    assert (_apply("min", *numbers), _apply("max", *numbers)) == (ordered[0], ordered[-1])
