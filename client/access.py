"""What a channel's credentials are: TLS or plaintext, and an identity token on every call or none."""

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
"""Where Cloud Run looks for tokens; the first is the usual one."""


class AccessError(ValueError):
    """What is asked for does not go together, or there are no credentials; the message says what would."""


@dataclass(frozen=True)
class Access:
    """How a server is to be reached.

    Attributes:
        tls: whether to speak TLS where the address does not say so.
        ca_cert: a file of certificates in PEM, of whom the server's must come; without it, it is the system's roots.
            With it, TLS is spoken.
        auth: "identity-token" for a token on every call, reflection and health included; "none" for none; "auto" for
            one by TLS if an audience or an account is named, or if the server is Cloud Run's and there are credentials.
        audience: whom tokens are for, if not `https://HOST`.
        impersonate: the service account whose tokens are sent, by its e-mail address.
        headers: what tokens are sent as, of HEADERS. Cloud Run reads `x-serverless-authorization` if it is there, and
            leaves `authorization` to the service.
    """

    tls: bool = False
    ca_cert: Path | None = None
    auth: str = AUTO
    audience: str = ""
    impersonate: str = ""
    headers: tuple[str, ...] = HEADERS[:1]


def speaks_tls(address: Address, access: Access) -> bool:
    """Return whether TLS is spoken with an address."""
    return access.tls or access.ca_cert is not None or address.is_tls


def audience(address: Address, access: Access) -> str:
    """Return whom tokens are for, if every call to an address must have one, or fail; empty otherwise."""
    is_named = bool(access.audience or access.impersonate)
    is_required = access.auth == IDENTITY_TOKEN or (access.auth == AUTO and is_named and speaks_tls(address, access))
    return (access.audience or address.audience) if is_required else ""


def credentials(address: Address, access: Access) -> grpc.ChannelCredentials | None:
    """Return the credentials of a channel to an address; None for plaintext without a token.

    Raises:
        AccessError: a token would go out in plaintext, or there is none; or the certificates cannot be read.
    """
    calls = _call_credentials(address, access)
    if speaks_tls(address, access):
        channel = grpc.ssl_channel_credentials(_certificates(access.ca_cert))
    elif calls:
        channel = grpc.local_channel_credentials()  # plaintext, and gRPC itself sees to it that it is this machine
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
        raise AccessError(f"there is no certificate in {file}: accepted is PEM")
    return certificates


def _call_credentials(address: Address, access: Access) -> grpc.CallCredentials | None:
    is_tls, required = speaks_tls(address, access), audience(address, access)
    is_optional = access.auth == AUTO and not required  # a service that is open to all wants no token
    if access.auth == NONE or (is_optional and not (is_tls and address.is_cloud_run)):
        return None
    if not is_tls and not address.is_loopback:
        raise AccessError(f"{address.target}: an identity token is a secret, and is not sent in plaintext; use TLS")
    if not (required or address.audience):
        raise AccessError(f"{address.target}: it is not known whom an identity token should be for; name the audience")
    from client import identity  # noqa: PLC0415 - a fifth of a second, for who needs it

    try:
        tokens = identity.Tokens(identity.find(required or address.audience, access.impersonate))
        tokens.get()  # now, since a call would have to wait for it, and has a deadline
    except identity.NoTokenError as error:
        # On Google Cloud there are credentials: that they are not there now is no reason to go without.
        if is_optional and not identity.is_on_google_cloud():
            return None
        raise AccessError(str(error)) from error
    return grpc.metadata_call_credentials(_Sender(tokens, access.headers, is_optional), "identity-token")


class _Sender(grpc.AuthMetadataPlugin):
    """Gives every call its token; one that cannot be had fails the call, unless it is optional."""

    def __init__(self, tokens: "identity.Tokens", headers: tuple[str, ...], is_optional: bool) -> None:  # noqa: FBT001
        self._tokens = tokens
        self._headers = headers
        self._is_optional = is_optional

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        try:
            token = self._tokens.get().value
            callback(tuple((header, f"Bearer {token}") for header in self._headers), None)
        except Exception as error:  # noqa: BLE001 - gRPC would wait for the callback as long as the call may take
            callback((), None if self._is_optional else error)
