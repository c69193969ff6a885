"""The errors of the calculator, independent of any protocol."""

from enum import StrEnum


class Reason(StrEnum):
    """The kinds of errors: the names in `calculator.v1.Reason`, which describes them, without the prefix."""

    UNKNOWN_OPERATION = "UNKNOWN_OPERATION"
    DIVISION_BY_ZERO = "DIVISION_BY_ZERO"
    UNDEFINED = "UNDEFINED"
    MALFORMED_EXPRESSION = "MALFORMED_EXPRESSION"
    NOT_FINITE = "NOT_FINITE"
    OVERFLOW = "OVERFLOW"
    TOO_LONG = "TOO_LONG"
    TOO_MUCH = "TOO_MUCH"
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    MISSING_MESSAGE = "MISSING_MESSAGE"
    UNKNOWN_METHOD = "UNKNOWN_METHOD"
    NOT_IDENTIFIED = "NOT_IDENTIFIED"
    NOT_ALLOWED = "NOT_ALLOWED"
    KEYS_UNAVAILABLE = "KEYS_UNAVAILABLE"


class CalculatorError(Exception):
    """A request cannot be answered. This is not the fault of the server.

    Attributes:
        reason: the kind of error.
        field: the field of the request that is at fault, or "".
        metadata: machine-readable details of the error.
    """

    reason: Reason

    def __init__(self, message: str, field: str = "", **metadata: str) -> None:
        """Set the message: what was wrong, the value, and the accepted values."""
        super().__init__(message)
        self.field = field
        self.metadata = metadata


class UnknownOperationError(CalculatorError):
    """The API does not have the operation."""

    reason = Reason.UNKNOWN_OPERATION

    def __init__(self, number: int, accepted: dict[str, int]) -> None:
        """Set the message: the number of the operation, and the accepted operations with their numbers."""
        names = ", ".join(f"{name} ({value})" for name, value in accepted.items())
        super().__init__(f"operation {number} is unknown; accepted: {names}", field="operation")


class DivisionByZeroError(CalculatorError):
    """The second operand of a division or remainder is zero, or zero is raised to a negative power."""

    reason = Reason.DIVISION_BY_ZERO


class UndefinedError(CalculatorError):
    """The result of the operation or function is not a real number."""

    reason = Reason.UNDEFINED


class ResultOverflowError(CalculatorError):
    """The result of finite operands is beyond the largest number."""

    reason = Reason.OVERFLOW


class MalformedExpressionError(CalculatorError):
    """The text is not an expression."""

    reason = Reason.MALFORMED_EXPRESSION

    def __init__(self, message: str, position: int) -> None:
        """Set the message: what is wrong at a position, in characters from 1."""
        super().__init__(f"{message} at position {position}", field="expression", position=str(position))


class NotFiniteError(CalculatorError):
    """A number in a stream is infinite or NaN."""

    reason = Reason.NOT_FINITE


class TooLongError(CalculatorError):
    """The request is larger than the server accepts."""

    reason = Reason.TOO_LONG
