"""The error of a call that is refused before it reaches its servicer, or whose request is invalid."""

from server.domain.errors import CalculatorError, Reason


class CallError(CalculatorError):
    """A call is refused, or its request cannot be read.

    Args:
        reason: the kind of error.
        message: what was wrong and what is accepted.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        """Set the message and the reason."""
        super().__init__(message)
        self.reason = reason
