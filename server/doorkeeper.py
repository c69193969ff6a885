"""Who calls: identity tokens, checked by the server itself, where nobody does before it or once more.

https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
"""

import time
from typing import Any

import jwt

from server.call import Call
from server.config import EXEMPTIONS, IdentityRules
from server.errors import KeysUnavailableError, NotAllowedError, NotIdentifiedError
from server.keys import ALGORITHM, Keys, UnavailableError

_CLAIMS = ["aud", "email", "exp", "iat", "iss"]
_LEEWAY_SECONDS = 10  # between two clocks

# To check a token takes as long as all else that the server does for a small call, and callers send it again and again.
_KNOWN_SECONDS = 300
_MOST_KNOWN = 1000

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


class Doorkeeper:
    """Lets calls in that come with a good identity token of somebody who may call."""

    def __init__(self, rules: IdentityRules) -> None:
        """Begin to fetch the keys."""
        self._rules = rules
        self._exempt = tuple(EXEMPTIONS[name] for name in rules.exempt)
        self._keys = Keys(rules.keys)
        self._known: dict[str, tuple[str, float]] = {}

    def admit(self, call: Call) -> None:
        """Let a call in, and write down whose it is.

        Raises:
            NotIdentifiedError: it has no identity token, or none that is good.
            NotAllowedError: it is of somebody who may not call.
            KeysUnavailableError: that cannot be checked now.
        """
        if call.method.startswith(self._exempt):
            return
        try:
            self._admit(call)
        except NotIdentifiedError as error:
            call.refusal = str(error)  # one of few texts: nothing of it is a caller's
            raise

    def _admit(self, call: Call) -> None:
        token = _token(call)
        known = self._known.get(token)
        if known and time.time() < known[1]:  # it was good a moment ago
            call.caller = known[0]
            return
        claims = self._claims(token)
        call.caller = _email(claims)
        if call.caller not in self._rules.callers:
            raise NotAllowedError(f"{call.caller} may not call this service")
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[token] = call.caller, min(int(claims["exp"]), time.time() + _KNOWN_SECONDS)

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
            raise KeysUnavailableError("identity tokens cannot be checked at the moment; try again") from error
        except jwt.InvalidTokenError as error:
            fault = next((text for kind, text in _FAULTS if isinstance(error, kind)), "it is not as it should be")
            raise _not_good(fault) from error
        return claims


def _token(call: Call) -> str:
    values = [value for name, value in call.context.invocation_metadata() if name == "authorization"]
    scheme, _, token = str(values[0]).partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token:
        raise NotIdentifiedError("one identity token is required, as `authorization: Bearer TOKEN`")
    if token.endswith(f".{_REMOVED}"):
        raise NotIdentifiedError(
            "the identity token has no signature any more: Cloud Run takes it off the one that it checks itself;"
            " send it as `x-serverless-authorization` and as `authorization`"
        )
    return token


def _email(claims: dict[str, Any]) -> str:
    email = claims["email"]
    if claims.get("email_verified") is not True or not isinstance(email, str) or not email.isprintable():
        raise _not_good("it has no e-mail address that is verified")
    return email


def _not_good(fault: str) -> NotIdentifiedError:
    return NotIdentifiedError(f"the identity token is not good: {fault}")
