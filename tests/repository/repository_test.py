"""Tests that several files of the repository agree with each other."""

import re
from pathlib import Path

from calculator.v1 import calculator_pb2 as pb

from server.domain.errors import Reason
from server.rpc import error_status


def test_the_toolbox_has_every_ruleset_of_workspace_and_of_the_modules() -> None:
    workspace = Path("WORKSPACE").read_text(encoding="utf-8")
    pinned = re.findall(r'^http_archive\(\n    name = "(\w+)"', workspace, re.MULTILINE)
    modules = re.findall(r'^bazel_dep\(name = "(\w+)"', Path("MODULE.bazel").read_text("utf-8"), re.MULTILINE)
    [table] = re.findall(r"readonly RULESETS='\n(.*?)'", Path("tools/toolbox/make.sh").read_text("utf-8"), re.DOTALL)
    bundled = {line.split()[0] for line in table.splitlines()}
    assert pinned
    assert modules
    assert set(pinned) | set(modules) <= bundled


def test_every_archive_is_an_official_release_with_its_hash() -> None:
    workspace = Path("WORKSPACE").read_text(encoding="utf-8")
    archives = re.findall(r"^http_archive\(\n(.*?)^\)", workspace, re.MULTILINE | re.DOTALL)
    assert archives
    for archive in archives:
        assert re.search(r'sha256 = "[0-9a-f]{64}"', archive), archive
        assert re.search(r'url = "https://github\.com/[\w.-]+/[\w.-]+/releases/download/', archive), archive


def test_no_starlark_file_uses_a_rule_or_provider_that_bazel_9_no_longer_has() -> None:
    files = [file for pattern in ("*.bazel", "*.bzl", "*.BUILD", "WORKSPACE") for file in Path().rglob(pattern)]
    files = [file for file in files if file.parts[0] != "external"]
    assert Path("bazel/python/defs.bzl") in files
    native = {str(file): _native(file.read_text(encoding="utf-8")) for file in files}
    assert not {file: names for file, names in native.items() if names}


def _native(text: str) -> set[str]:
    """Return the rules and providers that a file uses without loading them, among those that Bazel 9 does not have.

    https://bazel.build/rules/language, https://github.com/bazelbuild/bazel/issues/23043
    """
    removed = r"(?:cc|java|objc|proto|py|sh)_(?:\w+_)?(?:binary|import|library|runtime|test|toolchain)"
    code = re.sub(r"#.*", "", text)
    used = re.findall(rf"(?<![\w.])(?:native\.)?({removed})\(", code)
    used += re.findall(r"(?<![\w\".])((?:Cc|Java|Proto|Py|PyRuntime)Info)\b", code)
    loaded = re.findall(r'(\w+) = "\w+"|"(\w+)"', " ".join(re.findall(r"\bload\((.*?)\)", code, re.DOTALL)))
    defined = re.findall(r"^def (\w+)|^(\w+) =", code, re.MULTILINE)
    return set(used) - {name for names in loaded + defined for name in names}


def test_every_reason_of_the_api_has_the_status_that_its_comment_names() -> None:
    proto = Path("proto/calculator/v1/calculator.proto").read_text(encoding="utf-8")
    listed = re.findall(r"^  // ([A-Z_]+)\b.*\n(?:  // [a-z].*\n)*  REASON_([A-Z_]+) = ", proto, re.MULTILINE)
    assert {(code.name, reason.value) for reason, code in error_status.CODES.items()} == set(listed)
    assert {f"REASON_{reason}" for reason in Reason} == set(pb.Reason.keys()) - {"REASON_UNSPECIFIED"}
