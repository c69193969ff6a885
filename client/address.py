"""Server addresses as users write them: HOST, which implies TLS, or HOST:PORT."""

import re
from dataclasses import dataclass

_TLS_PORT = 443
_HIGHEST_PORT = 65535
_HOST_AND_PORT = re.compile(r"(?P<scheme>https://)?(?P<host>[^/:\[\]]+|\[[0-9a-fA-F:.%]+\])(:(?P<port>[0-9]{1,5}))?/?")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]+){3}|\[::1\]")
_CLOUD_RUN = ".run.app"


@dataclass(frozen=True)
class Address:
    """The address of a server.

    Attributes:
        target: the gRPC target.
        host: the host; empty for targets that only gRPC resolves, such as `unix:…` and `dns:///…`.
        is_tls: whether the address implies TLS, by port 443 or by `https://`.
    """

    target: str
    host: str = ""
    is_tls: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        return bool(_LOOPBACK.fullmatch(self.host))

    @property
    def is_cloud_run(self) -> bool:
        """Whether the host is a Cloud Run service under its `run.app` name."""
        return self.host.endswith(_CLOUD_RUN)

    @property
    def audience(self) -> str:
        """The audience of identity tokens for the server; empty if the host is."""
        return f"https://{self.host}" if self.host else ""


def parse(text: str) -> Address:
    """Parse an address.

    Args:
        text: HOST or https://HOST, which mean port 443 with TLS; HOST:PORT, which is plaintext except for port 443; or
            any name that gRPC resolves (https://github.com/grpc/grpc/blob/master/doc/naming.md).

    Raises:
        ValueError: the text is an invalid address; the message says why.
    """
    found = _HOST_AND_PORT.fullmatch(text)
    if not found and text.startswith(("http://", "https://")):
        raise ValueError(
            f"{text!r} is invalid: must be HOST:PORT for plaintext, or https://HOST[:PORT] for TLS, without a path"
        )
    if not found or (found["host"] == "unix" and not found["scheme"]):
        return Address(text)
    port = int(found["port"] or _TLS_PORT)
    if not 0 < port <= _HIGHEST_PORT:
        raise ValueError(f"{text!r} is invalid: the port must be 1-{_HIGHEST_PORT}")
    return Address(f"{found['host']}:{port}", found["host"], bool(found["scheme"]) or port == _TLS_PORT)
