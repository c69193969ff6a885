"""Who calls: identity tokens, checked by the server itself, where nobody does before it or once more.

https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
"""

import logging
import time
from typing import Any

import jwt

from server.call import Call
from server.config import EXEMPTIONS, Identity
from server.errors import KeysUnavailableError, NotAllowedError, NotIdentifiedError

_LOGGER = logging.getLogger(__name__)

_ALGORITHMS = ["RS256"]
_CLAIMS = ["aud", "email", "exp", "iat", "iss"]
_LEEWAY_SECONDS = 10  # between two clocks

# To check a token takes as long as all else that the server does for a small call, and callers send it again and again.
_KNOWN_SECONDS = 300
_MOST_KNOWN = 1000

_FETCH_SECONDS = 5
_RETRY_SECONDS = 10
_KEEP_SECONDS = 24 * 3600

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
    (jwt.PyJWKClientError, "its key is not one of the issuer's"),
    (jwt.DecodeError, "it is no JSON Web Token"),
)


class Keys(jwt.PyJWKClient):
    """The keys that an issuer signs with; when they cannot be had, those that could be had before.

    PyJWKClient itself keeps them for a while, has one caller fetch them for all, and asks anew for a key that it does
    not know, but not for every such key. It would refuse everybody, in turn, while the issuer does not answer.
    """

    _kept: Any = None
    _kept_until = 0.0
    _retry_from = 0.0

    def fetch_data(self) -> Any:  # noqa: ANN401 - PyJWT's
        """Fetch the keys.

        Raises:
            PyJWKClientConnectionError: they cannot be had, and there are none of the last day.
        """
        now = time.monotonic()
        if now < self._retry_from and not self._kept:
            raise jwt.PyJWKClientConnectionError("they could not be had a moment ago")
        try:
            self._kept, self._kept_until = super().fetch_data(), now + _KEEP_SECONDS
        except (jwt.PyJWKClientError, jwt.PyJWKSetError, ValueError, OSError) as error:
            _LOGGER.warning("The keys at %s cannot be had: %s", self.uri, error)  # the URL is no secret
            self._retry_from = now + _RETRY_SECONDS
            if now > self._kept_until:
                self._kept = None
                raise jwt.PyJWKClientConnectionError(str(error)) from error
        return self._kept


class Doorkeeper:
    """Lets calls in that come with a good identity token of somebody who may call."""

    def __init__(self, rules: Identity) -> None:
        """Fetch nothing yet: whoever has to wait for the keys, it is not the start."""
        self._rules = rules
        self._exempt = tuple(EXEMPTIONS[name] for name in rules.exempt)
        self._keys = Keys(rules.keys, timeout=_FETCH_SECONDS)
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
        call.caller = self._email(_token(call))
        if call.caller not in self._rules.callers:
            raise NotAllowedError(f"{call.caller} may not call this service")

    def _email(self, token: str) -> str:
        """Return whose a token is; one that was good a moment ago still is."""
        email, until = self._known.get(token, ("", 0))
        if time.time() >= until:
            claims = self._claims(token)
            email, until = str(claims["email"]), min(claims["exp"], time.time() + _KNOWN_SECONDS)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[token] = email, until
        return email

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._rules.audiences,
                issuer=self._rules.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _CLAIMS},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise KeysUnavailableError("identity tokens cannot be checked at the moment; try again") from error
        except (jwt.InvalidTokenError, jwt.PyJWKClientError) as error:
            fault = next((text for kind, text in _FAULTS if isinstance(error, kind)), "it is not as it should be")
            raise NotIdentifiedError(f"the identity token is not good: {fault}") from error
        if claims.get("email_verified") is not True:
            raise NotIdentifiedError("the identity token is not good: its e-mail address is not verified")
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
