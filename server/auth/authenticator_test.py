"""The cache of verified identity tokens."""

from unittest import mock

import jwt
import pytest

from server.auth.authenticator import IdentityTokens
from server.config import IdentityRules
from testing.fakes.id_token_issuer import ACCOUNT, Issuer
from testing.fakes.jwks_server import JwksServer

AUDIENCE = "https://calculator.example.com"


@pytest.mark.parametrize(("callers", "verified"), [((ACCOUNT,), 1), (("other@example.com",), 2)])
def test_only_tokens_of_allowed_accounts_are_cached(callers: tuple[str, ...], verified: int) -> None:
    issuer = Issuer()
    with JwksServer(issuer) as keys, mock.patch.object(jwt, "decode", wraps=jwt.decode) as decode:
        tokens = IdentityTokens(IdentityRules((AUDIENCE,), callers, keys.url))
        metadata = [("authorization", f"Bearer {issuer.token(AUDIENCE)}")]
        for _ in range(2):
            assert tokens.identify(metadata) == ACCOUNT
    assert decode.call_count == verified
