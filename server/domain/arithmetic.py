"""Arithmetic operations on numbers, independent of gRPC."""

import math
import operator
from collections.abc import Callable
from enum import Enum

from server.domain.errors import DivisionByZeroError, ResultOverflowError, UndefinedError


class Operation(Enum):
    """An operation on two operands. Its value is its sign in an expression."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    POWER = "^"
    REMAINDER = "%"

    __hash__ = object.__hash__  # Enum.__hash__ is pure Python, and slower than the arithmetic itself


_FUNCTIONS: dict[Operation, Callable[[float, float], float]] = {
    Operation.ADD: operator.add,
    Operation.SUBTRACT: operator.sub,
    Operation.MULTIPLY: operator.mul,
    Operation.DIVIDE: operator.truediv,
    Operation.POWER: math.pow,
    Operation.REMAINDER: math.fmod,
}


def calculate(operation: Operation, first: float, second: float) -> float:
    """Apply an operation to two operands in IEEE 754 double precision.

    Arithmetic follows IEEE 754, except that an operation on finite operands without a finite result is an error.
    Infinite and NaN operands are accepted, and yield the results of IEEE 754.

    For operands of 32 bits, a sum or difference rounded to 32 bits equals the 32-bit result, since the 53 bits of the
    significand are more than 2 * 24 + 2 (Figueroa, "When is double rounding innocuous?", ACM SIGNUM Newsletter 30(3),
    1995).

    Raises:
        DivisionByZeroError: a division or remainder by zero, or zero to a negative power.
        UndefinedError: a negative number to a power that is not an integer.
        ResultOverflowError: the result is beyond the largest number.
    """
    is_finite = math.isfinite(first) and math.isfinite(second)
    try:
        result = _FUNCTIONS[operation](first, second)
    except (ZeroDivisionError, ValueError, OverflowError):
        if not is_finite:
            return _by_ieee_754(operation, first, second)
        raise _error_of(operation, first, second) from None
    if is_finite and not math.isfinite(result):
        raise _error_of(operation, first, second)
    return result


def format_number(value: float) -> str:
    """Format a number with the fewest digits that identify it: 7, 0.1, 1e+300."""
    return repr(value).removesuffix(".0")


def _error_of(operation: Operation, first: float, second: float) -> Exception:
    text = f"{format_number(first)} {operation.value} {format_number(second)}"
    if second == 0 or (first == 0 and operation is Operation.POWER):
        return DivisionByZeroError(f"{text} divides by zero", field="second_operand")
    if first < 0 and operation is Operation.POWER and not second.is_integer():
        return UndefinedError(f"{text} is not a real number", field="second_operand")
    return ResultOverflowError(f"{text} is beyond the largest number, 1.7976931348623157e308")


def _by_ieee_754(operation: Operation, first: float, second: float) -> float:
    """Return the result of an operation with an infinite or NaN operand for which Python raises an error."""
    if operation is Operation.DIVIDE and not math.isnan(first):  # infinity divided by zero
        return math.copysign(math.inf, first) * math.copysign(1, second)
    return math.nan
