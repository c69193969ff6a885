"""Identity tokens that nobody may get in with."""

import base64
import json
import time
from collections.abc import Callable

import jwt

from testing.fakes.id_token_issuer import Issuer


def _unsigned(issuer: Issuer, audience: str) -> str:
    """Return a good token whose signature was taken off."""
    header, claims, _ = issuer.token(audience).split(".")
    return f"{header}.{claims}."


def _signed_by_nobody(issuer: Issuer, audience: str) -> str:
    """Return a token that says of itself that it needs no signature."""
    claims = jwt.decode(issuer.token(audience), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


def _signed_with_the_public_key(issuer: Issuer, audience: str) -> str:
    """Return a token with a signature of the kind whose key is a secret, made with the public key as that."""
    header = {"alg": "HS256", "kid": json.loads(issuer.keys())["keys"][0]["kid"]}
    claims = jwt.decode(issuer.token(audience), options={"verify_signature": False})
    return jwt.encode(claims, base64.b64encode(issuer.keys().encode()), algorithm="HS256", headers=header)


def _changed(issuer: Issuer, audience: str) -> str:
    """Return a token of one audience, with the signature of another's."""
    header, claims, _ = issuer.token(audience).split(".")
    return f"{header}.{claims}.{issuer.token('https://other').rpartition('.')[2]}"


BAD_TOKENS: dict[str, Callable[[Issuer, str], str | None]] = {
    "none": lambda _issuer, _audience: None,
    "empty": lambda _issuer, _audience: "",
    "no token at all": lambda _issuer, _audience: "let me in",
    "expired": lambda issuer, audience: issuer.token(audience, exp=int(time.time()) - 100),
    "not yet valid": lambda issuer, audience: issuer.token(audience, nbf=int(time.time()) + 1000),
    "of another audience": lambda issuer, _: issuer.token("https://other.a.run.app"),
    "of the audience without its scheme": lambda issuer, audience: issuer.token(audience.removeprefix("https://")),
    "of the audience with a slash": lambda issuer, audience: issuer.token(f"{audience}/"),
    "of the audience with a port": lambda issuer, audience: issuer.token(f"{audience}:443"),
    "of another issuer": lambda issuer, audience: issuer.token(audience, iss="https://accounts.example.com"),
    "of another key": lambda _, audience: Issuer().token(audience),
    "unsigned": _unsigned,
    "signed by nobody": _signed_by_nobody,
    "signed with the public key": _signed_with_the_public_key,
    "changed": _changed,
}
"""What makes each of them bad, and what makes each of them, for an issuer and an audience; None for no token."""


def metadata(token: str | None, header: str = "authorization") -> tuple[tuple[str, str], ...]:
    """Return what a call sends of a token."""
    return () if token is None else ((header, f"Bearer {token}"),)
