"""What a person calls a server, and what that means: HOST and TLS, or HOST:PORT."""

import re
from dataclasses import dataclass

_TLS_PORT = 443
_HIGHEST_PORT = 65535
_HOST_AND_PORT = re.compile(r"(?P<scheme>https://)?(?P<host>[^/:\[\]]+|\[[0-9a-fA-F:.%]+\])(:(?P<port>[0-9]{1,5}))?/?")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]+){3}|\[::1\]")
_CLOUD_RUN = ".run.app"


@dataclass(frozen=True)
class Address:
    """A server.

    Attributes:
        target: what gRPC calls it.
        host: its host; empty if only gRPC can tell, as for `unix:…` and `dns:///…`.
        is_tls: whether the address itself says that it speaks TLS: by its port, or by https.
    """

    target: str
    host: str = ""
    is_tls: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine."""
        return bool(_LOOPBACK.fullmatch(self.host))

    @property
    def is_cloud_run(self) -> bool:
        """Whether it is a service of Cloud Run, by the name that Google gave it."""
        return self.host.endswith(_CLOUD_RUN)

    @property
    def audience(self) -> str:
        """Whom an identity token for it is for."""
        return f"https://{self.host}" if self.host else ""


def parse(text: str) -> Address:
    """Return what a text means.

    Args:
        text: HOST, which is port 443 with TLS, as is https://HOST; HOST:PORT, plaintext but for port 443; or any name
            that gRPC resolves (https://github.com/grpc/grpc/blob/master/doc/naming.md).

    Raises:
        ValueError: it is neither; the message says why.
    """
    found = _HOST_AND_PORT.fullmatch(text)
    if not found and text.startswith(("http://", "https://")):
        raise ValueError(
            f"{text!r} is not accepted: HOST:PORT is, in plaintext, and https://HOST[:PORT], without a path"
        )
    if not found or (found["host"] == "unix" and not found["scheme"]):
        return Address(text)
    port = int(found["port"] or _TLS_PORT)
    if not 0 < port <= _HIGHEST_PORT:
        raise ValueError(f"{text!r} is not accepted: ports are 1 to {_HIGHEST_PORT}")
    return Address(f"{found['host']}:{port}", found["host"], bool(found["scheme"]) or port == _TLS_PORT)
