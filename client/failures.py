"""One-line descriptions of failed calls: the status, the details, and what to do."""

import grpc

_ADVICE = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "{target} did not answer within {timeout:g} s; increase --timeout",
    grpc.StatusCode.NOT_FOUND: "{target} does not know this name",
    grpc.StatusCode.UNIMPLEMENTED: "{target} does not serve this method; name another server with --target",
}

_NOT_REACHED = "is a server running at {target}? Start one with ./bazelw run //server, or name another with --target"
_NOT_REACHED_BY_TLS = (
    "is a server with TLS running at {target}? If its certificate is not from one of the system's CAs, pass --ca-cert"
)
_UNAUTHENTICATED = "{target} requires authentication; pass --auth=identity-token"
_REFUSED = "the token's audience was {audience}; check --audience and, on Cloud Run, your role roles/run.invoker"

# The prefix that gRPC adds to an error of the call credentials. In that case, the call was not sent to a server.
_PLUGIN_FAILED = "Getting metadata from plugin failed with error: "


def describe(error: grpc.RpcError, target: str, timeout: float, audience: str = "", *, is_tls: bool = False) -> str:
    """Describe a failed call in one line.

    Args:
        error: the error that the stub raised, with the status of the call.
        target: the server that was called.
        timeout: the timeout of the call, in seconds.
        audience: the audience of the call's identity token; empty if the call may not have had one.
        is_tls: whether the connection used TLS.
    """
    status: grpc.StatusCode = error.code()
    details = " ".join((error.details() or "").split())
    if details.startswith(_PLUGIN_FAILED):
        return details.removeprefix(_PLUGIN_FAILED)
    advice = _ADVICE.get(status, "")
    if status is grpc.StatusCode.DEADLINE_EXCEEDED and not details.lower().startswith("deadline exceeded"):
        advice = ""  # the deadline was the server's, not the client's
    elif status is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details:
        advice = _NOT_REACHED_BY_TLS if is_tls else _NOT_REACHED
    elif status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        advice = _REFUSED if audience else _UNAUTHENTICATED
    advice = advice.format(target=target, timeout=timeout, audience=audience)
    text = "; ".join(part for part in (details, advice) if part)
    return f"{status.name}: {text}" if text else status.name
