"""Channels to the calculator's server."""

import json
import random
from pathlib import Path

import grpc

from client.access import Access
from client.access import credentials as credentials_for
from client.address import parse

DEFAULT_TARGET = "localhost:50051"
DEFAULT_ACCESS = Access()

# What may be asked twice without harm is asked again, for as long as the call's deadline allows: while an instance
# starts, stops or is busy. A stream that the client sends cannot be sent again by gRPC; see conversation.py.
# CANCELLED is what a server's core answers calls that reach it while it stops:
# https://github.com/grpc/grpc/issues/41785
# https://github.com/grpc/proposal/blob/master/A6-client-retries.md
_SERVICE_CONFIG = Path(__file__).with_name("service_config.json").read_text(encoding="utf-8")
_RETRY_POLICY = json.loads(_SERVICE_CONFIG)["methodConfig"][0]["retryPolicy"]

ATTEMPTS: int = _RETRY_POLICY["maxAttempts"]
PASSING: list[str] = _RETRY_POLICY["retryableStatusCodes"]


def backoff_seconds(attempts: int) -> float:
    """Return how long to wait after so many attempts in vain: as long as gRPC does, which is never the same."""
    if not attempts:
        return 0
    first, longest = (float(_RETRY_POLICY[name].removesuffix("s")) for name in ("initialBackoff", "maxBackoff"))
    usual: float = min(first * _RETRY_POLICY["backoffMultiplier"] ** (attempts - 1), longest)
    return usual * random.uniform(0.8, 1.2)  # noqa: S311 - it is no secret


def connect(
    target: str = DEFAULT_TARGET,
    credentials: grpc.ChannelCredentials | None = None,
    access: Access = DEFAULT_ACCESS,
) -> grpc.Channel:
    """Open a channel; nothing is sent to the server before the first call, but a token is fetched if one is needed.

    `connect("my-service-….run.app")` is all that a service on Cloud Run needs: TLS, and on every call an identity token
    of whatever credentials there are.

    Args:
        target: HOST, which is port 443 with TLS; HOST:PORT, plaintext but for port 443; or any name that gRPC resolves
            (https://github.com/grpc/grpc/blob/master/doc/naming.md).
        credentials: instead of those that `access` describes.
        access: TLS at other ports, other certificates, and whose identity tokens are sent to whom.

    Returns:
        A channel, for the caller to close: `with connect(...) as channel`. Calls of one request that find no server, or
        a busy one, are tried up to five times before their deadline.

    Raises:
        AccessError: a token would go out in plaintext, or there is none; or the certificates cannot be read.
    """
    address = parse(target)
    options: list[tuple[str, str | int]] = [("grpc.service_config", _SERVICE_CONFIG)]
    if address.is_loopback:
        options.append(("grpc.enable_http_proxy", 0))  # no proxy of the environment reaches this very machine
    credentials = credentials or credentials_for(address, access)
    if credentials:
        return grpc.secure_channel(address.target, credentials, options=options)
    return grpc.insecure_channel(address.target, options=options)
