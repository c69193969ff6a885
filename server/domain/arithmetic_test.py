"""Properties of the arithmetic operations."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.arithmetic import Operation, calculate
from server.domain.errors import CalculatorError, DivisionByZeroError, ResultOverflowError, UndefinedError

finite = st.floats(allow_nan=False, allow_infinity=False)
moderate = st.floats(-1e150, 1e150)
any_number = st.floats()


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@given(st.sampled_from([Operation.ADD, Operation.MULTIPLY]), moderate, moderate)
def test_sum_and_product_are_commutative(operation: Operation, first: float, second: float) -> None:
    assert calculate(operation, first, second) == calculate(operation, second, first)


@given(moderate, moderate)
def test_subtraction_is_addition_of_the_negative(first: float, second: float) -> None:
    assert calculate(Operation.SUBTRACT, first, second) == calculate(Operation.ADD, first, -second)


@given(finite)
def test_a_number_minus_itself_is_zero(number: float) -> None:
    assert calculate(Operation.SUBTRACT, number, number) == 0


@given(st.integers(-(2**52), 2**52), st.integers(-(2**52), 2**52))
def test_sums_and_differences_of_integers_within_53_bits_are_exact(first: int, second: int) -> None:
    assert calculate(Operation.ADD, first, second) == first + second
    assert calculate(Operation.SUBTRACT, first, second) == first - second


@given(finite, finite.filter(bool))
def test_a_remainder_is_smaller_than_the_divisor_and_has_the_sign_of_the_dividend(first: float, second: float) -> None:
    remainder = calculate(Operation.REMAINDER, first, second)
    assert abs(remainder) < abs(second)
    assert math.copysign(1, remainder) == math.copysign(1, first)


@pytest.mark.parametrize(
    ("operation", "first", "second", "error"),
    [
        (Operation.DIVIDE, 1, 0, DivisionByZeroError),
        (Operation.DIVIDE, 0, 0, DivisionByZeroError),
        (Operation.REMAINDER, 1, 0, DivisionByZeroError),
        (Operation.POWER, 0, -1, DivisionByZeroError),
        (Operation.POWER, -8, 1 / 3, UndefinedError),
        (Operation.POWER, 10, 309, ResultOverflowError),
        (Operation.POWER, -10, 309, ResultOverflowError),
        (Operation.ADD, 1.7e308, 1.7e308, ResultOverflowError),
        (Operation.SUBTRACT, -1.7e308, 1.7e308, ResultOverflowError),
        (Operation.MULTIPLY, 1e200, 1e200, ResultOverflowError),
        (Operation.DIVIDE, 1e308, 1e-10, ResultOverflowError),
    ],
)
def test_exceptions_of_ieee_754_are_errors(
    operation: Operation, first: float, second: float, error: type[CalculatorError]
) -> None:
    with pytest.raises(error):
        calculate(operation, first, second)


@pytest.mark.parametrize(
    ("operation", "first", "second", "result"),
    [
        (Operation.ADD, math.inf, 1, math.inf),
        (Operation.SUBTRACT, math.inf, math.inf, math.nan),
        (Operation.DIVIDE, math.inf, 0, math.inf),
        (Operation.DIVIDE, -math.inf, 0, -math.inf),
        (Operation.DIVIDE, math.nan, 0, math.nan),
        (Operation.REMAINDER, math.inf, 2, math.nan),
        (Operation.REMAINDER, 2, math.inf, 2),
        (Operation.POWER, math.inf, -1, 0),
        (Operation.POWER, math.nan, 0, 1),
    ],
)
def test_infinities_and_nan_follow_ieee_754(operation: Operation, first: float, second: float, result: float) -> None:
    assert _same(calculate(operation, first, second), result)


@given(st.sampled_from(Operation), any_number, any_number)
def test_finite_operands_have_a_finite_result_or_an_error(operation: Operation, first: float, second: float) -> None:
    try:
        result = calculate(operation, first, second)
    except CalculatorError:
        assert math.isfinite(first)
        assert math.isfinite(second)
    else:
        assert math.isfinite(result) or not (math.isfinite(first) and math.isfinite(second))
