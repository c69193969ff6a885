"""Channels to the calculator's server."""

import json

import grpc

DEFAULT_TARGET = "localhost:50051"

# What may be asked twice without harm is asked again, for as long as the call's deadline allows: while an instance
# starts, stops or is busy. A stream that the client sends cannot be sent again.
# https://github.com/grpc/proposal/blob/master/A6-client-retries.md
_SAFE_TO_RETRY = [
    {"service": "Calculator", "method": "Calculate"},
    {"service": "calculator.v1.Calculator", "method": "Calculate"},
    {"service": "calculator.v1.Calculator", "method": "Evaluate"},
    {"service": "routeguide.RouteGuide", "method": "GetFeature"},
    {"service": "routeguide.RouteGuide", "method": "ListFeatures"},
    {"service": "grpc.health.v1.Health", "method": "Check"},
]
_LOOPBACK = ("localhost:", "127.", "[::1]:")

_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": _SAFE_TO_RETRY,
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                # CANCELLED is what a server's core answers calls that reach it while it stops:
                # https://github.com/grpc/grpc/issues/41785
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"],
            },
        }
    ]
}


def connect(target: str = DEFAULT_TARGET, credentials: grpc.ChannelCredentials | None = None) -> grpc.Channel:
    """Open a channel; nothing is sent before the first call.

    Args:
        target: HOST:PORT, or any name that gRPC resolves
            (https://github.com/grpc/grpc/blob/master/doc/naming.md).
        credentials: who the server has to be and who we are; without them all is in plaintext. TLS with an identity
            token, as Cloud Run wants it, is `grpc.composite_channel_credentials(grpc.ssl_channel_credentials(),
            grpc.access_token_call_credentials(token))`.

    Returns:
        A channel, for the caller to close: `with connect(...) as channel`. Calls of one request that find no server, or
        a busy one, are tried up to five times before their deadline.
    """
    options: list[tuple[str, str | int]] = [("grpc.service_config", json.dumps(_SERVICE_CONFIG))]
    if target.startswith(_LOOPBACK):
        options.append(("grpc.enable_http_proxy", 0))  # no proxy of the environment reaches this very machine
    if credentials:
        return grpc.secure_channel(target, credentials, options=options)
    return grpc.insecure_channel(target, options=options)
