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

# Calls that are safe to repeat are retried within their deadline, since an instance may be starting, stopping or busy:
# https://github.com/grpc/proposal/blob/master/A6-client-retries.md
# gRPC cannot resend a request stream; conversation.py does. CANCELLED is the status with which gRPC core rejects calls
# that reach a stopping server: https://github.com/grpc/grpc/issues/41785
_SERVICE_CONFIG = Path(__file__).with_name("service_config.json").read_text(encoding="utf-8")
_RETRY_POLICY = json.loads(_SERVICE_CONFIG)["methodConfig"][0]["retryPolicy"]

ATTEMPTS: int = _RETRY_POLICY["maxAttempts"]
RETRYABLE_CODES: list[str] = _RETRY_POLICY["retryableStatusCodes"]

# If a connection is silent for the keepalive time during a call, a ping checks it. Without an answer to the ping, the
# calls fail with UNAVAILABLE. The TypeScript client has the same interval.
KEEPALIVE_MS = 30_000
KEEPALIVE_TIMEOUT_MS = 10_000

# How long to wait after the first failed connection: the shortest time that gRPC accepts. Its default of a second is
# about as long as the backoffs of a call together, so that a call could fail before there is another connection.
_RECONNECT_MS = 100


def backoff_seconds(attempts: int) -> float:
    """Return the seconds to wait after a number of failed attempts: gRPC's exponential backoff with jitter."""
    if not attempts:
        return 0
    first, longest = (float(_RETRY_POLICY[name].removesuffix("s")) for name in ("initialBackoff", "maxBackoff"))
    usual: float = min(first * _RETRY_POLICY["backoffMultiplier"] ** (attempts - 1), longest)
    return usual * random.uniform(0.8, 1.2)  # noqa: S311 - jitter does not need secure randomness


def connect(
    target: str = DEFAULT_TARGET,
    credentials: grpc.ChannelCredentials | None = None,
    access: Access = DEFAULT_ACCESS,
) -> grpc.Channel:
    """Open a channel.

    The server is not contacted before the first call, but an identity token is fetched now if calls need one.

    `connect("my-service-….run.app")` is enough for a service on Cloud Run: the channel uses TLS, and sends an identity
    token from the available credentials with every call.

    Args:
        target: HOST, which means port 443 with TLS; HOST:PORT, which is plaintext except for port 443; or any name that
            gRPC resolves (https://github.com/grpc/grpc/blob/master/doc/naming.md).
        credentials: channel credentials that replace those that `access` describes.
        access: TLS on other ports, CA certificates, and the account and audience of identity tokens.

    Returns:
        A channel, which the caller closes: `with connect(...) as channel`. A call with a single request is attempted up
        to five times before its deadline if the server is unreachable or busy. If the server does not respond for
        about 40 s, not even to a ping, calls fail with UNAVAILABLE.

    Raises:
        AccessError: a token would be sent in plaintext, a required token is not available, or the CA certificates
            cannot be read.
    """
    address = parse(target)
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", _SERVICE_CONFIG),
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # of pings for flow control, which delay the former
        ("grpc.http2.max_pings_without_data", 0),  # no limit: a silent stream is exactly what pings are for
    ]
    if address.is_loopback:
        options.append(("grpc.enable_http_proxy", 0))  # a proxy from the environment cannot reach this machine
    credentials = credentials or credentials_for(address, access)
    if credentials:
        return grpc.secure_channel(address.target, credentials, options=options)
    return grpc.insecure_channel(address.target, options=options)
