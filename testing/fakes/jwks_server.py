"""Serves the keys that identity tokens are signed with, as Google does."""

import json
import threading

from testing.fakes.id_token_issuer import Issuer
from testing.fakes.loopback_server import LoopbackServer, QuietHandler


class JwksServer(LoopbackServer):
    """Serves the keys of an issuer, as Google does.

    Attributes:
        answer: the status and the body of the next answers.
        asked: how often it was asked.
        gate: closed, it keeps answers back.
    """

    def __init__(self, *issuers: Issuer) -> None:
        super().__init__(_Handler)
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        self.serve_keys_of(*issuers)

    def serve_keys_of(self, *issuers: Issuer) -> None:
        """Have other keys from now on."""
        keys = [key for issuer in issuers for key in json.loads(issuer.keys())["keys"]]
        self.answer = (200, json.dumps({"keys": keys}))

    def __exit__(self, *error: object) -> None:
        """Let those go that still wait."""
        self.gate.set()
        super().__exit__(*error)

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://{self.host}/certs"


class _Handler(QuietHandler):
    server: JwksServer

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.gate.wait()
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())
