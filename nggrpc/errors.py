"""Exceptions that nggrpc raises internally."""

import grpc


class StatusError(Exception):
    """A status that ends a call because its client broke the protocol or exceeded a limit.

    Attributes:
        code: the status code.
        details: the status message: what was wrong, and what is accepted.
        headers: additional response headers.
    """

    def __init__(self, code: grpc.StatusCode, details: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Store the status."""
        super().__init__(details)
        self.code = code
        self.details = details
        self.headers = headers
