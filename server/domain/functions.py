"""The functions and constants of expressions, such as sqrt and pi."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.domain.arithmetic import format_number
from server.domain.errors import ResultOverflowError, UndefinedError


@dataclass(frozen=True, eq=False)
class Function:
    """A function of numbers, or a constant.

    Attributes:
        name: the name in an expression.
        compute: returns the result. Raises ValueError if there is none, and OverflowError if it is too large.
        arguments: the number of arguments: 0 for a constant, None for one or more.
        domain: the accepted arguments, as error messages show them, if some are not accepted.
    """

    name: str
    compute: Callable[..., float]
    arguments: int | None = 1
    domain: str = ""


def _round(value: float) -> float:
    """Round to an integer, halves away from zero, as pocket calculators do. Python's round() rounds halves to even."""
    fraction, integer = math.modf(abs(value))
    return math.copysign(integer + (2 * fraction >= 1), value)


FUNCTIONS = {
    function.name: function
    for function in (
        Function("pi", lambda: math.pi, arguments=0),
        Function("e", lambda: math.e, arguments=0),
        Function("sqrt", math.sqrt, domain="numbers from 0"),
        Function("abs", math.fabs),
        Function("ln", math.log, domain="numbers above 0"),
        Function("log", math.log10, domain="numbers above 0"),
        Function("exp", math.exp),
        Function("sin", math.sin),
        Function("cos", math.cos),
        Function("tan", math.tan),
        Function("asin", math.asin, domain="numbers from -1 to 1"),
        Function("acos", math.acos, domain="numbers from -1 to 1"),
        Function("atan", math.atan),
        Function("min", lambda *numbers: min(numbers), arguments=None),
        Function("max", lambda *numbers: max(numbers), arguments=None),
        Function("round", _round),
    )
}
"""All functions and constants, by name. The comment of EvaluateRequest.expression in the proto describes them."""


def apply(function: Function, arguments: Sequence[float]) -> float:
    """Apply a function to finite arguments, as many as it takes.

    Raises:
        UndefinedError: the function has no real result for the arguments.
        ResultOverflowError: the result is beyond the largest number.
    """
    try:
        return function.compute(*arguments)
    except ValueError:
        message = f"{_call(function, arguments)} is not a real number; accepted: {function.domain}"
        raise UndefinedError(message) from None
    except OverflowError:
        message = f"{_call(function, arguments)} is beyond the largest number, 1.7976931348623157e308"
        raise ResultOverflowError(message) from None


def _call(function: Function, arguments: Sequence[float]) -> str:
    return f"{function.name}({', '.join(map(format_number, arguments))})"
