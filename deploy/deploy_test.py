"""//deploy: what it would do, and what it does with crane and gcloud, for which scripts stand in."""

import os
import subprocess
from pathlib import Path

import pytest

from bazel.oci.layout import Layout
from tests import programs

PROGRAM = Path("deploy/deploy").absolute()
DIGEST = Layout(Path("deploy/image")).reference()["digest"]
WHERE = ["--project=my-project", "--region=europe-west1"]
IMAGE = f"europe-west1-docker.pkg.dev/my-project/calculator/calculator@{DIGEST}"


def _deploy(crane: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    files = {"image": "deploy/image", "sbom": "deploy/sbom.cdx.json", "template": "deploy/service.yaml"}
    paths = [f"--{name}-path={file}" for name, file in files.items()]
    return programs.run([PROGRAM, f"--crane-path={crane}", *paths, *arguments], **environment)


def test_a_dry_run_prints_all_of_it() -> None:
    """A change that is meant is made in deploy.golden.txt as well."""
    printed = _deploy(Path("/no/crane"), *WHERE, "--dry-run")
    golden = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8")
    assert (printed.stdout.replace(DIGEST, "DIGEST"), printed.stderr) == (golden, "")


def _script(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def test_the_image_is_pushed_before_the_service_names_it_and_the_url_is_printed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    crane = _script(tmp_path / "crane", f'echo "crane $1 $3" >>{said}')
    url = "https://calculator-abc.a.run.app"
    gcloud = f'echo "gcloud $3 $4" >>{said}; case $3 in replace) cat "$4" >>{said} ;; describe) echo {url} ;; esac'
    _script(tmp_path / "gcloud", gcloud)
    deployed = _deploy(crane, *WHERE, "--max-instances=7", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert deployed.returncode == 0, deployed.stderr
    lines = said.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"crane push {IMAGE}"
    assert f"        - image: {IMAGE}" in lines[lines.index(f"crane push {IMAGE}") + 1 :]
    assert '        autoscaling.knative.dev/maxScale: "7"' in lines
    assert deployed.stdout.startswith(f"{url}\n")
    assert "--target calculator-abc.a.run.app add 2 3" in deployed.stdout


def test_what_gcloud_refuses_is_not_called_deployed(tmp_path: Path) -> None:
    crane = _script(tmp_path / "crane", "exit 0")
    _script(tmp_path / "gcloud", "echo 'ERROR: no permission' >&2; exit 1")
    deployed = _deploy(crane, *WHERE, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (deployed.returncode, deployed.stdout) == (1, "")
    assert deployed.stderr.endswith(
        "ERROR: no permission\ndeploy: gcloud failed, see above; are project and repository there, and yours?\n"
    )
    assert "Traceback" not in deployed.stderr


def test_without_gcloud_nothing_is_pushed(tmp_path: Path) -> None:
    crane = _script(tmp_path / "crane", f"touch {tmp_path}/pushed")
    (tmp_path / "bin").mkdir()
    programs_there = {file.name: file for folder in os.environ["PATH"].split(":") for file in Path(folder).glob("*")}
    for name in programs_there.keys() - {"gcloud"}:
        (tmp_path / "bin" / name).symlink_to(programs_there[name])
    deployed = _deploy(crane, *WHERE, PATH=f"{tmp_path}/bin")
    assert (deployed.returncode, deployed.stdout) == (1, "")
    assert "deploy: there is no gcloud on PATH: see https" in deployed.stderr
    assert not (tmp_path / "pushed").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: --project, --region"),
        (["--project=x", "--region=europe-west1"], "'x' is not one: accepted are 6 to 30 small letters"),
        (["--project=my-project", "--region=Europe"], "'Europe' is not one: accepted is a region"),
        ([*WHERE, "--service=a\nb"], "is not one: accepted are up to 49"),
        ([*WHERE, "--service-account=me"], "'me' is not one: accepted is the e-mail address"),
        ([*WHERE, "--service=calc"], "--service is calc: such an account cannot be; name one by --service-account"),
        ([*WHERE, "--max-instances=0"], "--max-instances is 0: accepted is 1"),
        ([*WHERE, "--min-instances=4"], "--max-instances is 3: accepted is 1, or --min-instances"),
        ([*WHERE, "--max-instances=-1"], "'-1' is not accepted: whole numbers to 1000 are"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(arguments: list[str], complaint: str) -> None:
    deployed = _deploy(Path("/no/crane"), *arguments)
    assert deployed.returncode == 2
    assert complaint in deployed.stderr
