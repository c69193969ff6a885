"""Tests of //deploy: its dry run, and deployments with scripts in place of crane, cosign and gcloud."""

import json
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
    files = {"image": "image", "provenance": "provenance.slsa.json", "sbom": "sbom.cdx.json"}
    paths = [
        f"--{container}-{kind}-path={folder}/{file}"
        for container, folder in FOLDERS.items()
        for kind, file in files.items()
    ]
    return programs.run(
        [
            PROGRAM,
            f"--crane-path={crane}",
            f"--cosign-path={crane.with_name('cosign')}",
            "--kms-path=/no/kms",
            "--template-path=deploy/service.yaml",
            *paths,
            *arguments,
        ],
        **environment,
    )


def test_a_dry_run_prints_the_commands_and_the_manifest() -> None:
    """An intended change of the output belongs in deploy.golden.txt as well."""
    printed = _deploy(Path("/no/crane"), *WHERE, "--dry-run")
    golden = Path("deploy/deploy.golden.txt").read_text(encoding="utf-8")
    output = printed.stdout
    for container, digest in DIGESTS.items():
        output = output.replace(digest, f"DIGEST_OF_{container.upper()}")
    assert (output, printed.stderr) == (golden, "")


@pytest.mark.parametrize(
    ("project", "path", "accounts"),
    [
        ("example.com:my-project", "example.com/my-project", "my-project.example.com"),
        ("a.b.example.org:my-project", "a.b.example.org/my-project", "my-project.a.b.example.org"),
        ("my-project", "my-project", "my-project"),
    ],
)
def test_the_images_and_the_account_of_a_project_with_a_domain_have_names_that_exist(
    project: str, path: str, accounts: str
) -> None:
    printed = _deploy(Path("/no/crane"), f"--project={project}", "--region=europe-west1", "--dry-run").stdout
    assert f"image: europe-west1-docker.pkg.dev/{path}/calculator/calculator@{DIGESTS['server']}" in printed
    assert f"serviceAccountName: calculator@{accounts}.iam.gserviceaccount.com\n" in printed
    assert f"--project {project} " in printed


def _script(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def test_the_images_are_pushed_before_the_service_is_replaced_and_the_url_is_printed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    crane = _script(tmp_path / "crane", f'echo "crane $1 $3" >>{log}')
    url = "https://calculator-abc.a.run.app"
    gcloud = f'echo "gcloud $3 $4" >>{log}; case $3 in replace) cat "$4" >>{log} ;; describe) echo {url} ;; esac'
    _script(tmp_path / "gcloud", gcloud)
    deployed = _deploy(crane, *WHERE, "--max-instances=7", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert deployed.returncode == 0, deployed.stderr
    lines = log.read_text(encoding="utf-8").splitlines()
    pushes = [f"crane push {image}" for image in IMAGES]
    assert [line for line in lines if line in pushes] == pushes
    after = lines[lines.index(pushes[-1]) + 1 :]
    assert [line for line in after if "image: " in line] == [f"          image: {image}" for image in reversed(IMAGES)]
    assert '        autoscaling.knative.dev/maxScale: "7"' in lines
    assert deployed.stdout.startswith(f"{url}\n")
    assert "--target calculator-abc.a.run.app add 2 3" in deployed.stdout


def _of_a_commit(folder: Path) -> list[str]:
    """Write a provenance that names a commit, as in a release, and return the flags that use it."""
    commit = {"uri": "git+https://example.com/some/calculator@1", "digest": {"gitCommit": "1"}}
    file = folder / "provenance.slsa.json"
    file.write_text(json.dumps({"buildDefinition": {"resolvedDependencies": [commit]}}), encoding="utf-8")
    return [f"--{container}-provenance-path={file}" for container in FOLDERS]


def test_the_images_are_signed_before_the_service_is_replaced(tmp_path: Path) -> None:
    log = tmp_path / "log"
    crane = _script(tmp_path / "crane", "exit 0")
    _script(tmp_path / "cosign", f'command=$1; for last; do :; done; echo "cosign $command $last" >>{log}')
    _script(tmp_path / "gcloud", f'echo "gcloud $3" >>{log}; echo https://calculator-abc.a.run.app')
    (tmp_path / "my.key").touch()
    flags = [*_of_a_commit(tmp_path), f"--sign={tmp_path / 'my.key'}"]
    deployed = _deploy(crane, *WHERE, *flags, PATH=f"{tmp_path}:{os.environ['PATH']}", COSIGN_PASSWORD="")
    assert deployed.returncode == 0, deployed.stderr
    signed = [f"cosign {command} {image}" for image in IMAGES for command in ("sign", "attest", "attest")]
    assert log.read_text(encoding="utf-8").splitlines() == [*signed, "gcloud replace", "gcloud describe"]


def test_an_image_that_cannot_be_signed_is_not_deployed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    crane = _script(tmp_path / "crane", "exit 0")
    _script(tmp_path / "cosign", "exit 1")
    _script(tmp_path / "gcloud", f"touch {log}")
    deployed = _deploy(
        crane, *WHERE, *_of_a_commit(tmp_path), "--sign", PATH=f"{tmp_path}:{os.environ['PATH']}", COSIGN_PASSWORD=""
    )
    assert (deployed.returncode, deployed.stdout) == (1, "")
    assert deployed.stderr.endswith("deploy: cosign sign failed, see above\n")
    assert not log.exists()


def test_images_that_do_not_name_their_commit_are_not_signed(tmp_path: Path) -> None:
    provenance = tmp_path / "provenance.slsa.json"
    provenance.write_text(json.dumps({"buildDefinition": {"resolvedDependencies": []}}), encoding="utf-8")
    deployed = _deploy(Path("/no/crane"), *WHERE, f"--ingress-provenance-path={provenance}", "--sign", "--dry-run")
    assert (deployed.returncode, deployed.stdout) == (1, "")
    assert (
        "deploy: an image is signed only if it names its commit: push with ./bazelw run --config=release"
        in deployed.stderr
    )


def test_a_dry_run_says_that_the_images_would_be_signed(tmp_path: Path) -> None:
    printed = _deploy(Path("/no/crane"), *WHERE, *_of_a_commit(tmp_path), "--sign", "--dry-run")
    assert [line.split()[2].rstrip(",") for line in printed.stdout.splitlines() if "cosign sign " in line] == IMAGES


def test_a_failure_of_gcloud_is_an_error(tmp_path: Path) -> None:
    crane = _script(tmp_path / "crane", "exit 0")
    _script(tmp_path / "gcloud", "echo 'ERROR: no permission' >&2; exit 1")
    deployed = _deploy(crane, *WHERE, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (deployed.returncode, deployed.stdout) == (1, "")
    assert deployed.stderr.endswith(
        "ERROR: no permission\ndeploy: gcloud failed, see above; check that the project and the repository exist, and"
        " that you may use them\n"
    )
    assert "Traceback" not in deployed.stderr


def test_without_gcloud_nothing_is_pushed(tmp_path: Path) -> None:
    crane = _script(tmp_path / "crane", f"touch {tmp_path}/pushed")
    (tmp_path / "bin").mkdir()
    installed = {file.name: file for folder in os.environ["PATH"].split(":") for file in Path(folder).glob("*")}
    for name in installed.keys() - {"gcloud"}:
        (tmp_path / "bin" / name).symlink_to(installed[name])
    deployed = _deploy(crane, *WHERE, PATH=f"{tmp_path}/bin")
    assert (deployed.returncode, deployed.stdout) == (1, "")
    assert "deploy: gcloud is not on PATH: see https" in deployed.stderr
    assert not (tmp_path / "pushed").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: --project, --region"),
        (["--project=x", "--region=europe-west1"], "'x' is not valid: must be 6 to 30 lowercase letters"),
        (["--project=my-project", "--region=Europe"], "'Europe' is not valid: must be a region"),
        ([*WHERE, "--service=a\nb"], "is not valid: must be 1 to 49"),
        ([*WHERE, "--service-account=me"], "'me' is not valid: must be the email address"),
        ([*WHERE, "--service=calc"], "--service=calc cannot be used as the service account's name, which needs 6"),
        ([*WHERE, "--max-instances=0"], "--max-instances=0: must be at least 1"),
        ([*WHERE, "--min-instances=4"], "--max-instances=3: must be at least 1 and at least --min-instances"),
        ([*WHERE, "--max-instances=-1"], "'-1' is not valid: must be 0 to 1000"),
    ],
)
def test_an_invalid_argument_is_an_error_that_says_what_is_accepted(arguments: list[str], complaint: str) -> None:
    deployed = _deploy(Path("/no/crane"), *arguments)
    assert deployed.returncode == 2
    assert complaint in deployed.stderr
