"""The error of a call that does not reach its servicer, or whose messages do not."""

from server.domain.errors import CalculatorError, Reason


class CallError(CalculatorError):
    """A call is refused, or its request cannot be read.

    Args:
        reason: the kind of error.
        message: what was wrong, and what is accepted.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        """Keep the reason."""
        super().__init__(message)
        self.reason = reason
