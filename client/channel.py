"""Channels to the calculator's server."""

import json
import random

import grpc

from client.access import Access
from client.access import credentials as credentials_for
from client.address import parse

DEFAULT_TARGET = "localhost:50051"
DEFAULT_ACCESS = Access()

ATTEMPTS = 5
_BACKOFF_SECONDS, _BACKOFF_FACTOR, _LONGEST_BACKOFF_SECONDS = 0.1, 2.0, 2
# CANCELLED is what a server's core answers calls that reach it while it stops:
# https://github.com/grpc/grpc/issues/41785
PASSING = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED")

# What may be asked twice without harm is asked again, for as long as the call's deadline allows: while an instance
# starts, stops or is busy. A stream that the client sends cannot be sent again by gRPC; see conversation.py.
# https://github.com/grpc/proposal/blob/master/A6-client-retries.md
_SAFE_TO_RETRY = [
    {"service": "Calculator", "method": "Calculate"},
    {"service": "calculator.v1.Calculator", "method": "Calculate"},
    {"service": "calculator.v1.Calculator", "method": "Evaluate"},
    {"service": "routeguide.RouteGuide", "method": "GetFeature"},
    {"service": "routeguide.RouteGuide", "method": "ListFeatures"},
    {"service": "grpc.health.v1.Health", "method": "Check"},
]

_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": _SAFE_TO_RETRY,
            "retryPolicy": {
                "maxAttempts": ATTEMPTS,
                "initialBackoff": f"{_BACKOFF_SECONDS}s",
                "maxBackoff": f"{_LONGEST_BACKOFF_SECONDS}s",
                "backoffMultiplier": _BACKOFF_FACTOR,
                "retryableStatusCodes": PASSING,
            },
        }
    ]
}


def backoff_seconds(attempts: int) -> float:
    """Return how long to wait after so many attempts in vain: as long as gRPC does, which is never the same."""
    if not attempts:
        return 0
    longest = min(_BACKOFF_SECONDS * _BACKOFF_FACTOR ** (attempts - 1), _LONGEST_BACKOFF_SECONDS)
    return longest * random.uniform(0.8, 1.2)  # noqa: S311 - it is no secret


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
    options: list[tuple[str, str | int]] = [("grpc.service_config", json.dumps(_SERVICE_CONFIG))]
    if address.is_loopback:
        options.append(("grpc.enable_http_proxy", 0))  # no proxy of the environment reaches this very machine
    credentials = credentials or credentials_for(address, access)
    if credentials:
        return grpc.secure_channel(address.target, credentials, options=options)
    return grpc.insecure_channel(address.target, options=options)
