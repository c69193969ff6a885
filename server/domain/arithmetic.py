"""The arithmetic itself, without gRPC: operations by name, applied to numbers."""

import math
import operator
from collections.abc import Callable
from enum import Enum

from server.domain.errors import DivisionByZeroError, ResultOverflowError, UndefinedError


class Operation(Enum):
    """What can be done to two operands; the value is its sign in an expression."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    POWER = "^"
    REMAINDER = "%"

    __hash__ = object.__hash__  # Enum's own is in Python, and takes longer than any operation


_FUNCTIONS: dict[Operation, Callable[[float, float], float]] = {
    Operation.ADD: operator.add,
    Operation.SUBTRACT: operator.sub,
    Operation.MULTIPLY: operator.mul,
    Operation.DIVIDE: operator.truediv,
    Operation.POWER: math.pow,
    Operation.REMAINDER: math.fmod,
}


def calculate(operation: Operation, first: float, second: float) -> float:
    """Apply an operation to two operands, by IEEE 754 for 64 bit.

    Any operand is accepted: infinities and NaN yield what IEEE 754 says. Where finite operands have no finite result,
    which IEEE 754 calls an exception, an error is raised.

    For operands of 32 bit, a sum or difference rounded to 32 bit is the 32-bit result: 53 digits are more than twice 24
    and two (Figueroa, "When is double rounding innocuous?", ACM SIGNUM Newsletter 30(3), 1995).

    Raises:
        DivisionByZeroError: by zero, the remainder of such a division, or zero to a negative power.
        UndefinedError: a negative number to a power that is no integer.
        ResultOverflowError: the result is beyond the largest number.
    """
    is_finite = math.isfinite(first) and math.isfinite(second)
    try:
        result = _FUNCTIONS[operation](first, second)
    except (ZeroDivisionError, ValueError, OverflowError):
        if not is_finite:
            return _by_ieee_754(operation, first, second)
        raise _exception(operation, first, second) from None
    if is_finite and not math.isfinite(result):
        raise _exception(operation, first, second)
    return result


def format_number(value: float) -> str:
    """Write a number with as few digits as tell it from its neighbours, and no more: 7, 0.1, 1e+300."""
    return repr(value).removesuffix(".0")


def _exception(operation: Operation, first: float, second: float) -> Exception:
    text = f"{format_number(first)} {operation.value} {format_number(second)}"
    if second == 0 or (first == 0 and operation is Operation.POWER):
        return DivisionByZeroError(f"{text} divides by zero", field="second_operand")
    if first < 0 and operation is Operation.POWER and not second.is_integer():
        return UndefinedError(f"{text} is no real number", field="second_operand")
    return ResultOverflowError(f"{text} is beyond the largest number, 1.7976931348623157e308")


def _by_ieee_754(operation: Operation, first: float, second: float) -> float:
    """Return what Python raises an error for, though an operand is infinite or no number."""
    if operation is Operation.DIVIDE and not math.isnan(first):  # infinity by zero
        return math.copysign(math.inf, first) * math.copysign(1, second)
    return math.nan
