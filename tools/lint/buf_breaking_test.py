"""buf breaking, as a test: the protos are compatible with the released API, which proto/released.yaml describes."""

import os
import shutil
from pathlib import Path

import pytest

from testing import programs

BUF = Path(os.environ["BUF"]).absolute()
PROTO = "proto/calculator/v1/calculator.proto"
FOUND_CHANGES = 100  # the exit status of buf


def _incompatible_changes(checkout: Path, home: Path) -> str:
    """Compare the protos with the released API, and return what buf reports; an empty text if they are compatible."""
    finished = programs.run([BUF, "breaking", "--against=proto/released.yaml"], checkout, HOME=str(home))
    assert finished.returncode == (FOUND_CHANGES if finished.stdout else 0), finished.stderr
    return finished.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the protos and the released API, with buf's configuration."""
    shutil.copy("buf.yaml", tmp_path)
    shutil.copytree("proto", tmp_path / "proto")
    return tmp_path


def _replace(file: Path, text: str, replacement: str) -> None:
    content = file.read_text(encoding="utf-8")
    assert text in content
    file.write_text(content.replace(text, replacement, 1), encoding="utf-8")


def test_the_protos_are_compatible_with_the_released_api(tmp_path: Path) -> None:
    changes = _incompatible_changes(Path(), tmp_path)
    hint = (
        "clients of the released API would break; add to the API instead, or start a new version such as calculator.v2"
    )
    assert not changes, f"{hint}:\n{changes}"


@pytest.mark.parametrize(
    ("text", "replacement", "report"),
    [
        (
            "  double first_operand = 2;\n",
            "",
            'Previously present field "2" with name "first_operand" on message "CalculateRequest" was deleted.',
        ),
        (
            "  double first_operand = 2;\n",
            '  reserved 2;\n  reserved "first_operand";\n',
            'Previously present field "2" with name "first_operand" on message "CalculateRequest" was deleted.',
        ),
        (
            "  OPERATION_REMAINDER = 6;\n",
            "",
            'Previously present enum value "6" on enum "Operation" was deleted.',
        ),
        (
            "  double first_operand = 2;\n",
            "  float first_operand = 2;\n",
            'changed type from "double" to "float".',
        ),
        (
            "  rpc Calculate(",
            "  rpc Compute(",
            'Previously present RPC "Calculate" on service "Calculator" was deleted.',
        ),
    ],
)
def test_a_change_that_breaks_clients_is_reported(checkout: Path, text: str, replacement: str, report: str) -> None:
    _replace(checkout / PROTO, text, replacement)
    assert report in _incompatible_changes(checkout, checkout)


def test_the_removal_of_a_proto_is_reported(checkout: Path) -> None:
    (checkout / "proto/routeguide/route_guide.proto").unlink()
    assert 'Previously present file "routeguide/route_guide.proto" was deleted.' in _incompatible_changes(
        checkout, checkout
    )


def test_a_release_records_the_current_api(checkout: Path) -> None:
    _replace(checkout / PROTO, "  double first_operand = 2;\n", "")
    release = programs.run(["proto/release.sh", os.environ["BUF"]], BUILD_WORKSPACE_DIRECTORY=str(checkout))
    assert release.returncode == 0, release.stderr
    assert not _incompatible_changes(checkout, checkout)


def test_additions_are_compatible(checkout: Path) -> None:
    proto = checkout / PROTO
    _replace(proto, "  double first_operand = 2;\n", "  double first_operand = 2;\n  string added_field = 100;\n")
    _replace(proto, "  OPERATION_REMAINDER = 6;\n", "  OPERATION_REMAINDER = 6;\n  OPERATION_ADDED = 100;\n")
    _replace(
        proto, "  rpc Calculate(", "  rpc Added(CalculateRequest) returns (CalculateResponse);\n\n  rpc Calculate("
    )
    added = 'syntax = "proto3";\n\npackage calculator.v2;\n\nmessage Added {}\n'
    (checkout / "proto/added.proto").write_text(added, encoding="utf-8")
    assert not _incompatible_changes(checkout, checkout)
