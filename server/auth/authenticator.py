"""The authenticator, which verifies identity tokens in place of the platform, or in addition to it.

https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
"""

import time
from typing import Any

import jwt

from server.auth.jwks import ALGORITHM, Keys, UnavailableError
from server.config import EXEMPTIONS, IdentityRules
from server.domain.errors import Reason
from server.observability.trace_context import Metadata
from server.rpc.errors import CallError

_CLAIMS = ["aud", "email", "exp", "iat", "iss"]
_LEEWAY_SECONDS = 10  # the accepted difference between the clocks of issuer and server

# Verified tokens are cached, since callers reuse them and a verification takes ten times as long as a small call.
_CACHE_SECONDS = 300
_MAX_CACHED = 1000

# Cloud Run replaces the signature of a token that it has verified with this text.
# https://cloud.google.com/run/docs/authenticating/service-to-service
_REMOVED_SIGNATURE = "SIGNATURE_REMOVED_BY_GOOGLE"

_FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet"),
    (jwt.InvalidAudienceError, "it is for another audience"),
    (jwt.InvalidIssuerError, "it was issued by an issuer that is not accepted"),
    (jwt.MissingRequiredClaimError, f"it does not have all of the claims {', '.join(_CLAIMS)}"),
    (jwt.InvalidSignatureError, "its signature is invalid"),
    (jwt.DecodeError, "it is not a JSON Web Token"),
)


class IdentityTokens:
    """Verifies the identity tokens of calls.

    Args:
        rules: the accepted issuers, audiences and accounts.
    """

    def __init__(self, rules: IdentityRules) -> None:
        """Start fetching the keys."""
        self._rules = rules
        self._exempt = tuple(EXEMPTIONS[name] for name in rules.exempt)
        self._keys = Keys(rules.keys)
        self._verified: dict[str, tuple[str, float]] = {}

    def exempts(self, path: str) -> bool:
        """Return whether a method may be called without an identity token."""
        return path.startswith(self._exempt)

    def identify(self, metadata: Metadata) -> str:
        """Return the e-mail address of the account in the identity token of a call.

        Raises:
            CallError: the metadata does not have a valid token, or tokens cannot be verified at the moment.
        """
        token = _token(metadata)
        verified = self._verified.get(token)
        if verified and time.time() < verified[1]:
            return verified[0]
        claims = self._claims(token)
        caller = _email(claims)
        if caller in self._rules.callers:  # tokens of other accounts must not evict these
            if len(self._verified) >= _MAX_CACHED:
                self._verified.clear()
            self._verified[token] = caller, min(int(claims["exp"]), time.time() + _CACHE_SECONDS)
        return caller

    def authorize(self, caller: str) -> None:
        """Check that an account may call.

        Raises:
            CallError: the account is not one of the allowed callers.
        """
        if caller not in self._rules.callers:
            raise CallError(Reason.NOT_ALLOWED, f"{caller} is not allowed to call this service")

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            key = self._keys.find(jwt.get_unverified_header(token).get("kid", ""))
            if not key:
                raise _invalid("its key ID is not among the issuer's published keys")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._rules.audiences,
                issuer=self._rules.issuers,
                leeway=_LEEWAY_SECONDS,
                options={"require": _CLAIMS},
            )
        except UnavailableError as error:
            message = "identity tokens cannot be verified at the moment; try again"
            raise CallError(Reason.KEYS_UNAVAILABLE, message) from error
        except jwt.InvalidTokenError as error:
            fault = next((text for kind, text in _FAULTS if isinstance(error, kind)), "a header or claim is invalid")
            raise _invalid(fault) from error
        return claims


def _token(metadata: Metadata) -> str:
    values = [value for name, value in metadata if name == "authorization"]
    scheme, _, token = str(values[0]).partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise CallError(Reason.NOT_IDENTIFIED, "exactly one `authorization: Bearer TOKEN` header is required")
    if token.endswith(f".{_REMOVED_SIGNATURE}"):
        raise CallError(
            Reason.NOT_IDENTIFIED,
            "Cloud Run has removed the signature of the identity token, since it verified the token itself;"
            " send it as `x-serverless-authorization` and as `authorization`",
        )
    return token


def _email(claims: dict[str, Any]) -> str:
    email = claims["email"]
    if claims.get("email_verified") is not True or not isinstance(email, str) or not email.isprintable():
        raise _invalid("it does not have a verified e-mail address")
    return email


def _invalid(fault: str) -> CallError:
    return CallError(Reason.NOT_IDENTIFIED, f"the identity token is invalid: {fault}")
