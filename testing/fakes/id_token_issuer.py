"""A fake of Google's issuer of identity tokens, with its own signing key.

https://cloud.google.com/docs/authentication/token-types#id
"""

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ISSUER = "https://accounts.google.com"
ACCOUNT = "caller@project.iam.gserviceaccount.com"
_ALGORITHM = "RS256"
_LIFETIME_SECONDS = 3600


class Issuer:
    """An issuer with one signing key.

    Args:
        lifetime: the lifetime of a token, in seconds.
    """

    def __init__(self, lifetime: float = _LIFETIME_SECONDS) -> None:
        """Generate the key."""
        self._lifetime = lifetime
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._id = f"{self._key.public_key().public_numbers().n % 2**64:016x}"

    def token(self, audience: str, **claims: Any) -> str:  # noqa: ANN401 - JSON
        """Return a token for an audience.

        Args:
            audience: the `aud` claim.
            claims: claims to add or replace.
        """
        now = time.time()
        usual = {
            "iss": ISSUER,
            "aud": audience,
            "azp": ACCOUNT,
            "sub": ACCOUNT,
            "email": ACCOUNT,
            "email_verified": True,
            "iat": int(now),
            "exp": int(now + self._lifetime),
        }
        return jwt.encode(usual | claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._id})

    def keys(self) -> str:
        """Return the public key as a JSON Web Key Set (JWKS, RFC 7517)."""
        key = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        return json.dumps({"keys": [key | {"kid": self._id, "alg": _ALGORITHM, "use": "sig"}]})
