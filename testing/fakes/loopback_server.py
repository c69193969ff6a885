"""HTTP servers on the loopback interface."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class LoopbackServer(ThreadingHTTPServer):
    """A server on a free loopback port, which serves within a `with` block.

    Args:
        handler: class that handles requests.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Bind a port."""
        super().__init__(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving and release the port."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def host(self) -> str:
        """The server's address, HOST:PORT."""
        return f"127.0.0.1:{self.server_port}"


class QuietHandler(BaseHTTPRequestHandler):
    """A request handler that does not log."""

    def log_message(self, *_: object) -> None:
        """Discard the log line: it would only be noise in the output of a test."""
