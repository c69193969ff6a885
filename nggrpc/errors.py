"""Exceptions that nggrpc raises internally."""

import grpc

NO_RETRY = ((b"grpc-retry-pushback-ms", b"-1"),)
"""Headers that tell the client not to retry a call that would fail again.

https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
"""


class StatusError(Exception):
    """A status that ends a call because its client broke the protocol or exceeded a limit.

    Attributes:
        code: the status code.
        details: the status message: what was wrong, and what is accepted.
        headers: additional trailers, such as `NO_RETRY`.
    """

    def __init__(self, code: grpc.StatusCode, details: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Store the status."""
        super().__init__(details)
        self.code = code
        self.details = details
        self.headers = headers
