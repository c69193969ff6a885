"""Tests that several files of the repository agree with each other."""

import re
from pathlib import Path

from calculator.v1 import calculator_pb2 as pb

from server.domain.errors import Reason
from server.rpc import error_status


def test_workspace_and_toolbox_name_the_same_rulesets() -> None:
    workspace = Path("WORKSPACE").read_text(encoding="utf-8")
    pinned = re.findall(r'^http_archive\(\n    name = "(\w+)"', workspace, re.MULTILINE)
    [table] = re.findall(r"readonly RULESETS='\n(.*?)'", Path("tools/toolbox/make.sh").read_text("utf-8"), re.DOTALL)
    bundled = [line.split()[0] for line in table.splitlines()]
    assert pinned
    assert sorted(pinned) == sorted(bundled)


def test_every_archive_is_an_official_release_with_its_hash() -> None:
    workspace = Path("WORKSPACE").read_text(encoding="utf-8")
    archives = re.findall(r"^http_archive\(\n(.*?)^\)", workspace, re.MULTILINE | re.DOTALL)
    assert archives
    for archive in archives:
        assert re.search(r'sha256 = "[0-9a-f]{64}"', archive), archive
        assert re.search(r'url = "https://github\.com/[\w.-]+/[\w.-]+/releases/download/', archive), archive


def test_every_reason_of_the_api_has_the_status_that_its_comment_names() -> None:
    proto = Path("proto/calculator/v1/calculator.proto").read_text(encoding="utf-8")
    listed = re.findall(r"^  // ([A-Z_]+)\b.*\n(?:  // [a-z].*\n)*  REASON_([A-Z_]+) = ", proto, re.MULTILINE)
    assert {(code.name, reason.value) for reason, code in error_status.CODES.items()} == set(listed)
    assert {f"REASON_{reason}" for reason in Reason} == set(pb.Reason.keys()) - {"REASON_UNSPECIFIED"}
