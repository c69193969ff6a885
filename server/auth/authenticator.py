"""Who calls: identity tokens, checked by the server itself, where nobody does before it or once more.

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
_LEEWAY_SECONDS = 10  # between two clocks

# To check a token takes as long as all else that the server does for a small call, and callers send it again and again.
_KNOWN_SECONDS = 300
_MAX_KNOWN = 1000

# What Cloud Run puts in the place of a signature, once it has checked the token by itself.
# https://cloud.google.com/run/docs/authenticating/service-to-service
_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"

_FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet"),
    (jwt.InvalidAudienceError, "it is for another audience"),
    (jwt.InvalidIssuerError, "somebody else has issued it"),
    (jwt.MissingRequiredClaimError, f"it lacks one of {', '.join(_CLAIMS)}"),
    (jwt.InvalidSignatureError, "its signature is wrong"),
    (jwt.DecodeError, "it is no JSON Web Token"),
)


class IdentityTokens:
    """Verifies the identity tokens of calls.

    Args:
        rules: who issues them, for which audience, and which accounts may call.
    """

    def __init__(self, rules: IdentityRules) -> None:
        """Begin to fetch the keys."""
        self._rules = rules
        self._exempt = tuple(EXEMPTIONS[name] for name in rules.exempt)
        self._keys = Keys(rules.keys)
        self._known: dict[str, tuple[str, float]] = {}

    def exempts(self, path: str) -> bool:
        """Return whether a method may be called without an identity token."""
        return path.startswith(self._exempt)

    def identify(self, metadata: Metadata) -> str:
        """Return the e-mail address of the account whose identity token the metadata has.

        Raises:
            CallError: there is no valid token, or it cannot be verified at the moment.
        """
        token = _token(metadata)
        known = self._known.get(token)
        if known and time.time() < known[1]:
            return known[0]
        claims = self._claims(token)
        caller = _email(claims)
        if caller in self._rules.callers:  # others must not push the tokens of these out
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[token] = caller, min(int(claims["exp"]), time.time() + _KNOWN_SECONDS)
        return caller

    def authorize(self, caller: str) -> None:
        """Check that an account may call.

        Raises:
            CallError: it may not.
        """
        if caller not in self._rules.callers:
            raise CallError(Reason.NOT_ALLOWED, f"{caller} may not call this service")

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            key = self._keys.find(jwt.get_unverified_header(token).get("kid", ""))
            if not key:
                raise _not_good("its key is not one of the issuer's")
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
            message = "identity tokens cannot be checked at the moment; try again"
            raise CallError(Reason.KEYS_UNAVAILABLE, message) from error
        except jwt.InvalidTokenError as error:
            fault = next((text for kind, text in _FAULTS if isinstance(error, kind)), "it is not as it should be")
            raise _not_good(fault) from error
        return claims


def _token(metadata: Metadata) -> str:
    values = [value for name, value in metadata if name == "authorization"]
    scheme, _, token = str(values[0]).partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise CallError(Reason.NOT_IDENTIFIED, "one identity token is required, as `authorization: Bearer TOKEN`")
    if token.endswith(f".{_REMOVED}"):
        raise CallError(
            Reason.NOT_IDENTIFIED,
            "the identity token has no signature any more: Cloud Run takes it off the one that it checks itself;"
            " send it as `x-serverless-authorization` and as `authorization`",
        )
    return token


def _email(claims: dict[str, Any]) -> str:
    email = claims["email"]
    if claims.get("email_verified") is not True or not isinstance(email, str) or not email.isprintable():
        raise _not_good("it has no e-mail address that is verified")
    return email


def _not_good(fault: str) -> CallError:
    return CallError(Reason.NOT_IDENTIFIED, f"the identity token is not good: {fault}")
