"""What must hold of the repository as a whole, and what no single file can see."""

import re
from pathlib import Path

from calculator.v1 import calculator_pb2 as pb

from server.domain.errors import Reason
from server.rpc import error_status


def test_workspace_and_toolbox_name_the_same_rulesets() -> None:
    workspace = Path("WORKSPACE").read_text(encoding="utf-8")
    pinned = re.findall(r'^http_archive\(\n    name = "(\w+)"', workspace, re.MULTILINE)
    [table] = re.findall(r"readonly RULESETS='\n(.*?)'", Path("tools/toolbox/make.sh").read_text("utf-8"), re.DOTALL)
    lent = [line.split()[0] for line in table.splitlines()]
    assert pinned
    assert sorted(pinned) == sorted(lent)


def test_every_archive_is_an_official_release_with_its_hash() -> None:
    workspace = Path("WORKSPACE").read_text(encoding="utf-8")
    archives = re.findall(r"^http_archive\(\n(.*?)^\)", workspace, re.MULTILINE | re.DOTALL)
    assert archives
    for archive in archives:
        assert re.search(r'sha256 = "[0-9a-f]{64}"', archive), archive
        assert re.search(r'url = "https://github\.com/[\w.-]+/[\w.-]+/releases/download/', archive), archive


def test_every_test_module_is_a_test_of_its_package() -> None:
    modules = [module for kind in ("py", "ts") for module in Path().rglob(f"*_test.{kind}")]
    modules = [module for module in modules if not module.is_relative_to("external")]
    assert {Path("tests/repository_test.py"), Path("web/browser_test.ts")} < set(modules)
    for module in modules:
        build = module.with_name("BUILD.bazel").read_text(encoding="utf-8")
        if module.suffix == ".py" and "py_tests(" in build and f'"{module.name}"' not in build:
            continue
        sources = "".join(re.findall(r"srcs = \[(.*?)\]", build, re.DOTALL))
        sources += "".join(f'"{name}.py"' for name in re.findall(r'_test\(\n    name = "(\w+)"', build))
        assert f'"{module.name}"' in sources, f"{module} never runs: it needs a test in {module.parent}/BUILD.bazel"


def test_every_reason_of_the_api_has_the_status_that_its_comment_names() -> None:
    proto = Path("proto/calculator/v1/calculator.proto").read_text(encoding="utf-8")
    listed = re.findall(r"^  // ([A-Z_]+)\b.*\n  REASON_([A-Z_]+) = ", proto, re.MULTILINE)
    assert {(code.name, reason.value) for reason, code in error_status.CODES.items()} == set(listed)
    assert {f"REASON_{reason}" for reason in Reason} == set(pb.Reason.keys()) - {"REASON_UNSPECIFIED"}
