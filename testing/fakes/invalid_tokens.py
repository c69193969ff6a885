"""Identity tokens that a server must refuse."""

import base64
import json
import time
from collections.abc import Callable

import jwt

from testing.fakes.id_token_issuer import Issuer


def _unsigned(issuer: Issuer, audience: str) -> str:
    """Return a valid token with its signature removed."""
    header, claims, _ = issuer.token(audience).split(".")
    return f"{header}.{claims}."


def _with_algorithm_none(issuer: Issuer, audience: str) -> str:
    """Return a token whose header says that it is not signed: `"alg": "none"`."""
    claims = jwt.decode(issuer.token(audience), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


def _signed_with_the_public_key(issuer: Issuer, audience: str) -> str:
    """Return a token signed by HMAC (HS256) with the public key as the shared secret."""
    header = {"alg": "HS256", "kid": json.loads(issuer.keys())["keys"][0]["kid"]}
    claims = jwt.decode(issuer.token(audience), options={"verify_signature": False})
    return jwt.encode(claims, base64.b64encode(issuer.keys().encode()), algorithm="HS256", headers=header)


def _changed(issuer: Issuer, audience: str) -> str:
    """Return a token with the signature of a token for another audience."""
    header, claims, _ = issuer.token(audience).split(".")
    return f"{header}.{claims}.{issuer.token('https://other').rpartition('.')[2]}"


INVALID_TOKENS: dict[str, Callable[[Issuer, str], str | None]] = {
    "none": lambda _issuer, _audience: None,
    "empty": lambda _issuer, _audience: "",
    "not a token": lambda _issuer, _audience: "let me in",
    "expired": lambda issuer, audience: issuer.token(audience, exp=int(time.time()) - 100),
    "not yet valid": lambda issuer, audience: issuer.token(audience, nbf=int(time.time()) + 1000),
    "for another audience": lambda issuer, _: issuer.token("https://other.a.run.app"),
    "for the audience without its scheme": lambda issuer, audience: issuer.token(audience.removeprefix("https://")),
    "for the audience with a trailing slash": lambda issuer, audience: issuer.token(f"{audience}/"),
    "for the audience with a port": lambda issuer, audience: issuer.token(f"{audience}:443"),
    "from another issuer": lambda issuer, audience: issuer.token(audience, iss="https://accounts.example.com"),
    "signed with another key": lambda _, audience: Issuer().token(audience),
    "unsigned": _unsigned,
    "algorithm none": _with_algorithm_none,
    "signed with the public key": _signed_with_the_public_key,
    "changed": _changed,
}
"""Functions that make an invalid token for an issuer and an audience, by what is wrong with it. None means no token."""


def metadata(token: str | None, header: str = "authorization") -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call that sends a token; empty if there is no token."""
    return () if token is None else ((header, f"Bearer {token}"),)
