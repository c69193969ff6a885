"""The errors of the calculator: why a request cannot be answered, whatever protocol it came by."""

from enum import StrEnum


class Reason(StrEnum):
    """The kinds of errors: the names of `calculator.v1.Reason` without its prefix, where they are described."""

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
    """A request cannot be answered, through no fault of the server.

    Attributes:
        reason: the kind of error.
        field: the field of the request that is to blame, if it is one.
        metadata: more about the error, for programs.
    """

    reason: Reason

    def __init__(self, message: str, field: str = "", **metadata: str) -> None:
        """Say what was wrong, the value, and what is accepted."""
        super().__init__(message)
        self.field = field
        self.metadata = metadata


class UnknownOperationError(CalculatorError):
    """The API does not have the operation."""

    reason = Reason.UNKNOWN_OPERATION

    def __init__(self, number: int, accepted: dict[str, int]) -> None:
        """Name the number of the operation, and the accepted operations with their numbers."""
        names = ", ".join(f"{name} ({value})" for name, value in accepted.items())
        super().__init__(f"operation {number} is unknown; accepted: {names}", field="operation")


class DivisionByZeroError(CalculatorError):
    """The second operand of a division or remainder is zero, or zero is taken to a negative power."""

    reason = Reason.DIVISION_BY_ZERO


class UndefinedError(CalculatorError):
    """The operation has no real number as its result."""

    reason = Reason.UNDEFINED


class ResultOverflowError(CalculatorError):
    """The result of finite operands is larger than the largest number."""

    reason = Reason.OVERFLOW


class MalformedExpressionError(CalculatorError):
    """The text is not an expression."""

    reason = Reason.MALFORMED_EXPRESSION

    def __init__(self, message: str, position: int) -> None:
        """Say what is wrong at a position, in characters from 1."""
        super().__init__(f"{message} at position {position}", field="expression", position=str(position))


class NotFiniteError(CalculatorError):
    """A number of a stream is infinite or not a number."""

    reason = Reason.NOT_FINITE


class TooLongError(CalculatorError):
    """The request is larger than the server accepts."""

    reason = Reason.TOO_LONG
