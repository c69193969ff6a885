"""Channel credentials: TLS or plaintext, with or without an identity token on every call."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from client.address import Address

if TYPE_CHECKING:
    from client import identity

AUTO, IDENTITY_TOKEN, NONE = "auto", "identity-token", "none"
AUTHS = (AUTO, IDENTITY_TOKEN, NONE)

HEADERS = ("authorization", "x-serverless-authorization")
"""The headers in which Cloud Run accepts an identity token; the first is the default."""


class AccessError(ValueError):
    """Contradictory options, unreadable certificates, or missing credentials; the message says what to do."""


@dataclass(frozen=True)
class Access:
    """How to connect to a server.

    Attributes:
        tls: whether to use TLS even if the address does not imply it.
        ca_cert: a PEM file of CA certificates that replaces the system's roots when the server's certificate is
            verified. It implies TLS.
        auth: "identity-token" sends a token with every call, including reflection and health checks; "none" does not;
            "auto" sends one over TLS if `audience` or `impersonate` is set, or if the server is on Cloud Run and there
            are credentials.
        audience: the audience of the tokens; if empty, `https://HOST`.
        impersonate: the e-mail address of the service account whose tokens are sent; if empty, the caller's own.
        headers: the members of HEADERS that carry the token. Cloud Run prefers `x-serverless-authorization` if it is
            present, and then leaves `authorization` to the service.
    """

    tls: bool = False
    ca_cert: Path | None = None
    auth: str = AUTO
    audience: str = ""
    impersonate: str = ""
    headers: tuple[str, ...] = HEADERS[:1]


def speaks_tls(address: Address, access: Access) -> bool:
    """Return whether connections to an address use TLS."""
    return access.tls or access.ca_cert is not None or address.is_tls


def audience(address: Address, access: Access) -> str:
    """Return the audience of the token if calls to an address require a token; otherwise an empty string."""
    is_named = bool(access.audience or access.impersonate)
    is_required = access.auth == IDENTITY_TOKEN or (access.auth == AUTO and is_named and speaks_tls(address, access))
    return (access.audience or address.audience) if is_required else ""


def credentials(address: Address, access: Access) -> grpc.ChannelCredentials | None:
    """Return the credentials of a channel to an address; None for plaintext without a token.

    Raises:
        AccessError: a token would be sent in plaintext to another machine, the audience is unknown, a required token is
            not available, or the CA certificates cannot be read.
    """
    calls = _call_credentials(address, access)
    if speaks_tls(address, access):
        channel = grpc.ssl_channel_credentials(_certificates(access.ca_cert))
    elif calls:
        channel = grpc.local_channel_credentials()  # plaintext; gRPC itself verifies that the peer is this machine
    else:
        return None
    return grpc.composite_channel_credentials(channel, calls) if calls else channel


def _certificates(file: Path | None) -> bytes | None:
    if not file:
        return None
    try:
        certificates = file.read_bytes()
    except OSError as error:
        raise AccessError(f"the certificates in {file} cannot be read: {error.strerror}") from error
    if b"-----BEGIN CERTIFICATE-----" not in certificates:
        raise AccessError(f"no certificate in {file}: must be a PEM file")
    return certificates


def _call_credentials(address: Address, access: Access) -> grpc.CallCredentials | None:
    is_tls, required = speaks_tls(address, access), audience(address, access)
    is_optional = access.auth == AUTO and not required  # a public service does not need a token
    if access.auth == NONE or (is_optional and not (is_tls and address.is_cloud_run)):
        return None
    if not is_tls and not address.is_loopback:
        raise AccessError(f"{address.target}: an identity token is a secret, and is not sent in plaintext; use TLS")
    if not (required or address.audience):
        raise AccessError(f"{address.target}: this address does not imply an audience for identity tokens; set one")
    from client import identity  # noqa: PLC0415 - importing it takes 0.2 s

    try:
        tokens = identity.Tokens(identity.find(required or address.audience, access.impersonate))
        tokens.get()  # fetch before the first call, which would spend its deadline waiting for the token
    except identity.NoTokenError as error:
        # Google Cloud always provides credentials, so a failure there is temporary: do not fall back to no token.
        if is_optional and not identity.is_on_google_cloud():
            return None
        raise AccessError(str(error)) from error
    return grpc.metadata_call_credentials(_Sender(tokens, access.headers, is_optional), "identity-token")


class _Sender(grpc.AuthMetadataPlugin):
    """An auth plugin that adds a token to every call. Without a token, the call fails, unless the token is optional."""

    def __init__(self, tokens: "identity.Tokens", headers: tuple[str, ...], is_optional: bool) -> None:  # noqa: FBT001
        self._tokens = tokens
        self._headers = headers
        self._is_optional = is_optional

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        try:
            token = self._tokens.get().value
            callback(tuple((header, f"Bearer {token}") for header in self._headers), None)
        except Exception as error:  # noqa: BLE001 - without a callback, gRPC waits until the deadline
            callback((), None if self._is_optional else error)
