"""Authentication of callers: identity tokens and the keys (JWKS) that verify them."""
