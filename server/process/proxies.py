"""The proxy of the environment, which is not for programs on this machine."""

from collections.abc import MutableMapping

_LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")


def exempt_loopback(environment: MutableMapping[str, str]) -> None:
    """Have neither gRPC nor Python reach this machine by a proxy: a proxy would reach itself.

    Both read `no_proxy` before `NO_PROXY`, so the former gets the hosts of both.

    Args:
        environment: the environment variables, before gRPC is imported.
    """
    exempted = environment.get("no_proxy") or environment.get("NO_PROXY", "")
    environment["no_proxy"] = ",".join([*filter(None, [exempted]), *_LOOPBACK])
