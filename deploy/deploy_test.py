"""//deploy: what it would do, and what it does with crane and gcloud, for which scripts stand in."""

import os
import subprocess
from pathlib import Path

import pytest

from bazel.oci.layout import Layout
from testing import programs

PROGRAM = Path("deploy/deploy").absolute()
FOLDERS = {"server": "deploy", "ingress": "ingress"}
DIGESTS = {name: Layout(Path(folder, "image")).reference()["digest"] for name, folder in FOLDERS.items()}
WHERE = ["--project=my-project", "--region=europe-west1"]
REPOSITORY = "europe-west1-docker.pkg.dev/my-project/calculator/calculator"
IMAGES = [f"{REPOSITORY}@{DIGESTS['server']}", f"{REPOSITORY}-ingress@{DIGESTS['ingress']}"]


def _deploy(crane: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    files = {"image": "image", "sbom": "sbom.cdx.json"}
    paths = [
        f"--{container}-{kind}-path={folder}/{file}"
        for container, folder in FOLDERS.items()
        for kind, file in files.items()
    ]
    return programs.run(
        [PROGRAM, f"--crane-path={crane}", "--template-path=deploy/service.yaml", *paths, *arguments], **environment
    )


def test_a_dry_run_prints_all_of_it() -> None:
    """A change that is meant is made in deploy.golden.txt as well."""
    printed = _deploy(Path("/no/crane"), *WHERE, "--dry-run")
    golden = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8")
    said = printed.stdout
    for container, digest in DIGESTS.items():
        said = said.replace(digest, f"DIGEST_OF_{container.upper()}")
    assert (said, printed.stderr) == (golden, "")


def _script(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def test_the_images_are_pushed_before_the_service_names_them_and_the_url_is_printed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    crane = _script(tmp_path / "crane", f'echo "crane $1 $3" >>{said}')
    url = "https://calculator-abc.a.run.app"
    gcloud = f'echo "gcloud $3 $4" >>{said}; case $3 in replace) cat "$4" >>{said} ;; describe) echo {url} ;; esac'
    _script(tmp_path / "gcloud", gcloud)
    deployed = _deploy(crane, *WHERE, "--max-instances=7", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert deployed.returncode == 0, deployed.stderr
    lines = said.read_text(encoding="utf-8").splitlines()
    pushes = [f"crane push {image}" for image in IMAGES]
    assert [line for line in lines if line in pushes] == pushes
    after = lines[lines.index(pushes[-1]) + 1 :]
    assert [line for line in after if "image: " in line] == [f"          image: {image}" for image in reversed(IMAGES)]
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
