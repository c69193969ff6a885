"""What a person is told when a call fails: one line, with the status and what to do about it."""

import grpc

_ADVICE = {
    grpc.StatusCode.UNAVAILABLE: (
        "is a server running at {target}? Start one with ./bazelw run //server, or name another with --target"
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: "{target} did not answer within {timeout:g} s; allow more with --timeout",
    grpc.StatusCode.UNAUTHENTICATED: (
        "{target} wants to know who calls; --auth=identity-token sends a token, or says why there is none"
    ),
    grpc.StatusCode.PERMISSION_DENIED: (
        "{target} does not let this caller in, or the token was not for it: see --audience, and on Cloud Run who has"
        " the role roles/run.invoker"
    ),
    grpc.StatusCode.NOT_FOUND: "{target} knows no such thing",
    grpc.StatusCode.UNIMPLEMENTED: "{target} serves something else; name another server with --target",
}

# gRPC's own words for credentials that had no token to give: what follows is theirs, and no server was asked.
_PLUGIN_FAILED = "Getting metadata from plugin failed with error: "


def describe(error: grpc.RpcError, target: str, timeout: float) -> str:
    """Describe a failed call in one line.

    Args:
        error: what the stub raised; it carries the status of the call.
        target: the server that was called.
        timeout: the deadline the call had, in seconds.
    """
    status: grpc.StatusCode = error.code()
    details = " ".join((error.details() or "").split())
    if details.startswith(_PLUGIN_FAILED):
        return details.removeprefix(_PLUGIN_FAILED)
    advice = _ADVICE.get(status, "").format(target=target, timeout=timeout)
    if status is grpc.StatusCode.DEADLINE_EXCEEDED and not details.lower().startswith("deadline exceeded"):
        advice = ""  # it is the server's deadline, not the client's
    text = "; ".join(part for part in (details, advice) if part)
    return f"{status.name}: {text}" if text else status.name
