"""What a person is told when a call fails: one line, with the status and what to do about it."""

import grpc

_ADVICE = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "{target} did not answer within {timeout:g} s; allow more with --timeout",
    grpc.StatusCode.NOT_FOUND: "{target} knows no such thing",
    grpc.StatusCode.UNIMPLEMENTED: "{target} serves something else; name another server with --target",
}

_NOT_REACHED = "is a server running at {target}? Start one with ./bazelw run //server, or name another with --target"
_NOT_REACHED_BY_TLS = (
    "is a server with TLS running at {target}? --ca-cert says who vouches for it, if not the system's roots"
)
_NOBODY = "{target} wants to know who calls; --auth=identity-token sends a token, or says why there is none"
_SOMEBODY = "the token was for {audience}; see --audience, and on Cloud Run who has the role roles/run.invoker"

# gRPC's own words for credentials that had no token to give: what follows is theirs, and no server was asked.
_PLUGIN_FAILED = "Getting metadata from plugin failed with error: "


def describe(error: grpc.RpcError, target: str, timeout: float, audience: str = "", *, is_tls: bool = False) -> str:
    """Describe a failed call in one line.

    Args:
        error: what the stub raised; it carries the status of the call.
        target: the server that was called.
        timeout: the deadline the call had, in seconds.
        audience: whom the identity token was for that came with it; empty if it may have had none.
        is_tls: whether it was made by TLS.
    """
    status: grpc.StatusCode = error.code()
    details = " ".join((error.details() or "").split())
    if details.startswith(_PLUGIN_FAILED):
        return details.removeprefix(_PLUGIN_FAILED)
    advice = _ADVICE.get(status, "")
    if status is grpc.StatusCode.DEADLINE_EXCEEDED and not details.lower().startswith("deadline exceeded"):
        advice = ""  # it is the server's deadline, not the client's
    elif status is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details:
        advice = _NOT_REACHED_BY_TLS if is_tls else _NOT_REACHED
    elif status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        advice = _SOMEBODY if audience else _NOBODY
    advice = advice.format(target=target, timeout=timeout, audience=audience)
    text = "; ".join(part for part in (details, advice) if part)
    return f"{status.name}: {text}" if text else status.name
