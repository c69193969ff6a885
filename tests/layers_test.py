"""Which package of the server depends on which: what server/README.md says."""

import re
from pathlib import Path

import pytest

# A package may depend on those of its row, and on generated code.
MAY_USE = {
    "server": {"nggrpc", "server/auth", "server/observability", "server/process", "server/rpc", "server/services"},
    "server/auth": {"server", "server/domain", "server/observability", "server/rpc"},
    "server/domain": set(),
    "server/observability": set(),
    "server/process": set(),
    "server/rpc": {"nggrpc", "server/domain", "server/observability"},
    "server/services": {"nggrpc", "server/domain"},
    "nggrpc": set(),
}


def _edges() -> list[tuple[str, str, str]]:
    """Return for each dependency of a target on another one both packages, and the name of the other target."""
    lines = Path("tests/dependencies.txt").read_text(encoding="utf-8")
    edges = re.findall(r"^@?@?//([\w/]+):\S+ @?@?//([\w/]+):(\S+)$", lines, re.MULTILINE)
    assert edges
    return edges


def _used(package: str) -> set[str]:
    """Return the packages of this repository that a package depends on directly."""
    used = {to for here, to, _ in _edges() if here == package} - {package}
    return {other for other in used if not other.startswith(("proto", "bazel", "third_party"))}


@pytest.mark.parametrize("package", MAY_USE)
def test_a_package_depends_only_on_those_below_it(package: str) -> None:
    assert _used(package) <= MAY_USE[package]


def test_the_client_does_not_depend_on_the_server() -> None:
    assert not {package for package in _used("client") if package.startswith(("server", "nggrpc"))}


def test_only_the_configuration_is_used_by_a_layer_below() -> None:
    upward = {name for here, to, name in _edges() if here.startswith("server/") and to == "server"}
    assert upward == {"config"}
