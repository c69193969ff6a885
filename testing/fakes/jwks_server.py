"""A fake of Google's JWKS endpoint, which serves the public keys of identity tokens."""

import json
import threading

from testing.fakes.id_token_issuer import Issuer
from testing.fakes.loopback_server import LoopbackServer, QuietHandler


class JwksServer(LoopbackServer):
    """A server for the JWKS of some issuers.

    Args:
        issuers: the issuers whose public keys it serves.

    Attributes:
        answer: the HTTP status and the body of the next responses.
        request_count: the number of requests received.
        gate: while this event is not set, responses are held back.
    """

    def __init__(self, *issuers: Issuer) -> None:
        super().__init__(_Handler)
        self.request_count = 0
        self._lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()
        self.serve_keys_of(*issuers)

    def serve_keys_of(self, *issuers: Issuer) -> None:
        """Replace the keys that it serves."""
        keys = [key for issuer in issuers for key in json.loads(issuer.keys())["keys"]]
        self.answer = (200, json.dumps({"keys": keys}))

    def count_request(self) -> None:
        """Count a request; each request has its own thread."""
        with self._lock:
            self.request_count += 1

    def __exit__(self, *error: object) -> None:
        """Release the responses that are held back, and stop."""
        self.gate.set()
        super().__exit__(*error)

    @property
    def url(self) -> str:
        """The URL of the JWKS."""
        return f"http://{self.host}/certs"


class _Handler(QuietHandler):
    server: JwksServer

    def do_GET(self) -> None:
        self.server.count_request()
        self.server.gate.wait()
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())
