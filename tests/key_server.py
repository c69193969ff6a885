"""Serves the keys that identity tokens are signed with, as Google does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.emulator.issuer import Issuer


class KeyServer(ThreadingHTTPServer):
    """Serves the keys of an issuer, as Google does.

    Attributes:
        answer: the status and the body of the next answers.
        asked: how often it was asked.
    """

    def __init__(self, *issuers: Issuer) -> None:
        super().__init__(("127.0.0.1", 0), _KeyHandler)
        self.asked = 0
        self.serve_keys_of(*issuers)

    def serve_keys_of(self, *issuers: Issuer) -> None:
        """Have other keys from now on."""
        keys = [key for issuer in issuers for key in json.loads(issuer.keys())["keys"]]
        self.answer = (200, json.dumps({"keys": keys}))

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://127.0.0.1:{self.server_port}/certs"


class _KeyHandler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked += 1
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(*issuers: Issuer) -> Iterator[KeyServer]:
    """Serve the keys of some issuers until the block ends."""
    with KeyServer(*issuers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
