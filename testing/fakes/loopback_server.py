"""HTTP servers for this machine alone."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class LoopbackServer(ThreadingHTTPServer):
    """A server on a free port of this machine, which serves as long as a `with` block lasts.

    Args:
        handler: answers requests.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Take a port."""
        super().__init__(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and give the port back."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def host(self) -> str:
        """HOST:PORT of it."""
        return f"127.0.0.1:{self.server_port}"


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests without a word about them."""

    def log_message(self, *_: object) -> None:
        """Write no log: there would be nothing in it but noise."""
