"""The errors of nggrpc."""

import grpc


class StatusError(Exception):
    """A call has to end with a status, since its client broke the protocol or exceeded a limit.

    Attributes:
        code: the status code.
        details: what was wrong, and what is accepted.
        headers: extra response headers.
    """

    def __init__(self, code: grpc.StatusCode, details: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Keep the status."""
        super().__init__(details)
        self.code = code
        self.details = details
        self.headers = headers
