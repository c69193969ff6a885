"""Tests of the dependencies between packages, as in server/README.md, and between top-level folders."""

import re
from pathlib import Path

import pytest

# A package may depend on the packages in its row, and on generated code.
MAY_USE = {
    "server": {"nggrpc", "server/auth", "server/observability", "server/process", "server/rpc", "server/services"},
    "server/auth": {"server", "server/domain", "server/observability", "server/rpc"},
    "server/domain": set(),
    "server/go": {"server/go/services"},
    "server/go/domain": set(),
    "server/go/services": {"server/go/domain"},
    "server/observability": set(),
    "server/process": set(),
    "server/rpc": {"nggrpc", "server/domain", "server/observability"},
    "server/services": {"nggrpc", "server/domain"},
    "nggrpc": set(),
    "client": {"client/cli"},
    "client/cli": {"client"},
}


def _edges() -> set[tuple[str, str]]:
    """Return the dependencies between targets, each as two labels such as "server/rpc:rpc"."""
    lines = Path("tests/repository/dependencies.txt").read_text(encoding="utf-8")
    edges = set(re.findall(r"^@?@?//([\w/]+:\S+) @?@?//([\w/]+:\S+)$", lines, re.MULTILINE))
    assert edges
    return edges


def _package(label: str) -> str:
    return label.partition(":")[0]


@pytest.mark.parametrize("package", MAY_USE)
def test_a_package_depends_only_on_packages_below_it(package: str) -> None:
    used = {_package(target) for user, target in _edges() if _package(user) == package} - {package}
    assert {other for other in used if not other.startswith("proto")} <= MAY_USE[package]


def test_the_client_library_does_not_depend_on_its_command_line() -> None:
    assert ("client/cli:cli", "client:lib") in _edges()
    assert ("client:lib", "client/cli:cli") not in _edges()


def test_the_layers_of_the_server_depend_on_nothing_above_them_but_the_configuration() -> None:
    upward = {target for user, target in _edges() if user.startswith("server/") and _package(target) == "server"}
    assert upward == {"server:config"}


def test_no_two_folders_depend_on_each_other() -> None:
    # Every package uses the build rules, and their tests use packages of every kind.
    infrastructure = {"bazel", "third_party", "tools"}
    labels = set()
    for build in Path().glob("[a-z]*/**/BUILD.bazel"):
        user = build.parts[0]
        rules = re.sub(r"(?m)^load\(.*$|visibility = \[[^]]*\]|^ *\"//[\w/]+:sources\",$", "", build.read_text("utf-8"))
        labels |= {(user, used) for used in re.findall(r'"//(\w+)[/:"]', rules)}
    # //web is an alias of a program in deploy/, which starts the page.
    arrows = {(user, used) for user, used in labels if not {user, used} & infrastructure} - {("web", "deploy")}
    assert ("ingress", "web") in arrows
    assert {(user, used) for user, used in arrows if user < used and (used, user) in arrows} == set()
