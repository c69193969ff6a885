"""The errors of the domain: what can be wrong with a request, whoever asks and by whatever protocol."""

from typing import ClassVar


class CalculatorError(Exception):
    """A request that cannot be answered, through no fault of the server.

    Attributes:
        reason: the kind of error, in the words of calculator.v1.
        field: the field of the request that is to blame, if it is one.
        metadata: more about it, for programs.
    """

    reason: ClassVar[str]

    def __init__(self, message: str, field: str = "", **metadata: str) -> None:
        """Say what was wrong, the value, and what is accepted."""
        super().__init__(message)
        self.field = field
        self.metadata = metadata


class UnknownOperationError(CalculatorError):
    """The operation is not in the contract."""

    reason = "UNKNOWN_OPERATION"

    def __init__(self, number: int, accepted: dict[str, int]) -> None:
        """Name the number asked for, and what is accepted: names and their numbers."""
        names = ", ".join(f"{name} ({value})" for name, value in accepted.items())
        super().__init__(f"operation {number} is unknown; accepted: {names}", field="operation")


class DivisionByZeroError(CalculatorError):
    """The second operand of a division or remainder is zero, or zero is taken to a negative power."""

    reason = "DIVISION_BY_ZERO"


class UndefinedError(CalculatorError):
    """No real number is the result."""

    reason = "UNDEFINED"


class ResultOverflowError(CalculatorError):
    """The result of finite operands is beyond the largest number."""

    reason = "OVERFLOW"


class MalformedExpressionError(CalculatorError):
    """The expression is not one."""

    reason = "MALFORMED_EXPRESSION"

    def __init__(self, message: str, position: int) -> None:
        """Say what is wrong at a position, in characters from 1."""
        super().__init__(f"{message} at position {position}", field="expression", position=str(position))


class NotFiniteError(CalculatorError):
    """A number of a stream is infinite or not a number."""

    reason = "NOT_FINITE"


class TooLongError(CalculatorError):
    """The request says more than one may."""

    reason = "TOO_LONG"


class TooMuchError(CalculatorError):
    """The server has too much to do, or to remember; it may be otherwise soon."""

    reason = "TOO_MUCH"


class MalformedMessageError(CalculatorError):
    """The bytes of a request are not those of its message."""

    reason = "MALFORMED_MESSAGE"


class MissingMessageError(CalculatorError):
    """The request ended before its one message came."""

    reason = "MISSING_MESSAGE"


class UnknownMethodError(CalculatorError):
    """There is no such method."""

    reason = "UNKNOWN_METHOD"


class NotIdentifiedError(CalculatorError):
    """It is not known who calls."""

    reason = "NOT_IDENTIFIED"


class NotAllowedError(CalculatorError):
    """Who calls may not."""

    reason = "NOT_ALLOWED"


class KeysUnavailableError(CalculatorError):
    """The keys by which it would be known who calls cannot be had; it may be otherwise soon."""

    reason = "KEYS_UNAVAILABLE"
