"""A fake of Google Cloud's metadata server, limited to identity tokens.

https://cloud.google.com/compute/docs/instances/verifying-instance-identity
"""

import json
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from testing.fakes.id_token_issuer import ACCOUNT, Issuer
from testing.fakes.loopback_server import LoopbackServer, QuietHandler

_FLAVOR = ("Metadata-Flavor", "Google")
_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default/"


class MetadataServer(LoopbackServer):
    """A metadata server. Its `host` is the value for the variable GCE_METADATA_HOST.

    Args:
        issuer: the issuer that signs the tokens.

    Attributes:
        issued: the audiences of the tokens that it issued, in order.
    """

    def __init__(self, issuer: Issuer) -> None:
        """Bind a port."""
        super().__init__(_Handler)
        self.issuer = issuer
        self.issued: list[str] = []


class _Handler(QuietHandler):
    server: MetadataServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.headers.get(_FLAVOR[0]) != _FLAVOR[1]:  # a web page cannot send this header
            self._answer(HTTPStatus.FORBIDDEN, f"the header {': '.join(_FLAVOR)} is missing")
        elif url.path == f"{_ACCOUNT}identity":
            self._identity(parse_qs(url.query).get("audience", [""])[0])
        elif (url.path, url.query) == (_ACCOUNT, "recursive=true"):
            self._answer(HTTPStatus.OK, json.dumps({"aliases": ["default"], "email": ACCOUNT, "scopes": []}))
        elif url.path == "/":
            self._answer(HTTPStatus.OK, "computeMetadata/")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "this metadata server only knows the default service account")

    def _identity(self, audience: str) -> None:
        if not audience:
            self._answer(HTTPStatus.BAD_REQUEST, "non-empty audience parameter required")
            return
        self.server.issued.append(audience)
        self._answer(HTTPStatus.OK, self.server.issuer.token(audience))

    def _answer(self, status: HTTPStatus, text: str) -> None:
        self.send_response(status)
        self.send_header(*_FLAVOR)
        self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/html")
        self.end_headers()
        self.wfile.write(text.encode())
