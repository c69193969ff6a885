"""Exempts loopback addresses from the proxy in the environment."""

from collections.abc import MutableMapping

_LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")


def exempt_loopback(environment: MutableMapping[str, str]) -> None:
    """Keep gRPC and Python from using a proxy for loopback addresses: on the proxy, `localhost` is the proxy itself.

    Both read `no_proxy` before `NO_PROXY`, so `no_proxy` is set to the loopback hosts and the hosts exempted so far.

    Args:
        environment: the environment variables, before gRPC is imported.
    """
    exempted = environment.get("no_proxy") or environment.get("NO_PROXY", "")
    environment["no_proxy"] = ",".join([*filter(None, [exempted]), *_LOOPBACK])
