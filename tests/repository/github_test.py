"""Tests of the files for GitHub and for editors: they are valid, pinned, and call what exists in this repository."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing import programs

WORKFLOWS = sorted(Path(".github/workflows").glob("*.yml"))
ACTIONS = sorted(Path(".github/actions").glob("*/action.yml"))
FORMS = sorted(Path(".github/ISSUE_TEMPLATE").glob("*_*.yml"))
PRE_COMMIT = Path(".pre-commit-config.yaml")
DEV_CONTAINER = Path(".devcontainer/devcontainer.json")
GUIDE = Path("docs/guides/continuous-integration.md")

# Longer scripts belong in tools/, where shellcheck and tests see them.
MOST_LINES = 5


def _load(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def _jobs() -> dict[str, dict[str, Any]]:
    """Return the jobs of all workflows, by the name of the file and of the job."""
    return {f"{file.stem}.{name}": job for file in WORKFLOWS for name, job in _load(file)["jobs"].items()}


def _steps() -> Iterator[dict[str, Any]]:
    for job in _jobs().values():
        yield from job["steps"]
    for action in ACTIONS:
        yield from _load(action)["runs"]["steps"]


JOBS = _jobs()
SCRIPTS = [step["run"] for step in _steps() if "run" in step]
HOOKS = [hook["entry"] for repository in _load(PRE_COMMIT)["repos"] for hook in repository["hooks"]]
COMMANDS = [*SCRIPTS, *HOOKS, json.loads(DEV_CONTAINER.read_text(encoding="utf-8"))["postCreateCommand"]]


def _run(*module_and_arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module of a locked package."""
    path = os.pathsep.join(sys.path)
    return programs.run([sys.executable, "-m", *module_and_arguments], PYTHONPATH=path, **environment)


def _actionlint(text: str) -> subprocess.CompletedProcess[str]:
    command = [os.environ["ACTIONLINT"], "-no-color", "-pyflakes=", f"-shellcheck={os.environ['SHELLCHECK']}", "-"]
    return programs.run(command, standard_input=text)


@pytest.mark.parametrize("file", WORKFLOWS, ids=str)
def test_actionlint_accepts_every_workflow(file: Path) -> None:
    finished = _actionlint(file.read_text(encoding="utf-8"))
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


@pytest.mark.parametrize("file", ACTIONS, ids=str)
def test_shellcheck_accepts_the_commands_of_every_action(file: Path) -> None:
    steps = yaml.safe_load(file.read_text(encoding="utf-8"))["runs"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands
    for command in commands:
        checked = programs.run([os.environ["SHELLCHECK"], "--shell=bash", "-"], standard_input=command)
        assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("needs: [ubuntu, debian]", "needs: [ubuntu, fedora]", "[job-needs]"),
        ("needs.*.result", "need.*.result", "[expression]"),
        ("sudo sysctl", "echo $HOME; sudo sysctl", "shellcheck reported issue"),
    ],
)
def test_actionlint_with_shellcheck_finds_mistakes(before: str, after: str, complaint: str) -> None:
    text = Path(".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert before in text
    finished = _actionlint(text.replace(before, after))
    assert finished.returncode == 1
    assert complaint in finished.stdout


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        *(("github-workflows", file) for file in WORKFLOWS),
        *(("github-actions", file) for file in ACTIONS),
        *(("github-issue-forms", file) for file in FORMS),
        ("github-issue-config", Path(".github/ISSUE_TEMPLATE/config.yml")),
        ("dependabot", Path(".github/dependabot.yml")),
    ],
    ids=str,
)
def test_every_file_of_github_satisfies_its_schema(schema: str, file: Path) -> None:
    finished = _run("check_jsonschema", "--builtin-schema", f"vendor.{schema}", file)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_pre_commit_accepts_its_configuration(tmp_path: Path) -> None:
    finished = _run("pre_commit", "validate-config", PRE_COMMIT, PRE_COMMIT_HOME=str(tmp_path))
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_the_development_container_has_the_form_of_the_specification() -> None:
    # https://containers.dev/implementors/json_reference/. No registry has the schema, so this checks what is used.
    container = json.loads(DEV_CONTAINER.read_text(encoding="utf-8"))
    form = {"name": str, "build": dict, "remoteUser": str, "runArgs": list, "forwardPorts": list}
    assert {key: type(value) for key, value in container.items()} == form | {"postCreateCommand": str}
    build = Path(".devcontainer", container["build"]["dockerfile"]).read_text(encoding="utf-8")
    assert f"USER {container['remoteUser']}\n" in build
    assert container["remoteUser"] != "root"


def test_every_action_is_pinned_by_its_commit_and_names_its_version() -> None:
    used = [
        line.strip().removeprefix("- ")
        for file in [*WORKFLOWS, *ACTIONS]
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s+(- )?uses:", line)
    ]
    assert used
    for line in used:
        if "uses: ./" not in line:
            assert re.fullmatch(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_every_use_of_an_action_has_the_same_pin() -> None:
    pins: dict[str, set[str]] = {}
    for step in _steps():
        action, _, commit = step.get("uses", "").partition("@")
        pins.setdefault("/".join(action.split("/")[:2]), set()).add(commit)
    assert {action for action, commits in pins.items() if len(commits) > 1} == set()


def test_every_container_image_is_pinned_by_the_same_digest() -> None:
    used = {job["container"]["image"] for job in JOBS.values() if "container" in job}
    used |= set(re.findall(r"^FROM (\S+)", Path(".devcontainer/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    [image] = used
    assert re.fullmatch(r"debian:trixie-\d{8}@sha256:[0-9a-f]{64}", image)


@pytest.mark.parametrize("name", JOBS)
def test_every_job_has_a_timeout_its_own_permissions_and_a_fixed_runner(name: str) -> None:
    job = JOBS[name]
    assert 0 < job["timeout-minutes"] < 360
    assert isinstance(job["permissions"], dict)
    assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])


def test_only_these_jobs_may_write() -> None:
    writing = {
        name: {scope for scope, access in job["permissions"].items() if access == "write"} for name, job in JOBS.items()
    }
    assert {name: scopes for name, scopes in writing.items() if scopes} == {
        "pins.propose": {"actions", "contents", "pull-requests"},
        "release.publish": {"contents"},
        "release.push": {"id-token"},
    }


@pytest.mark.parametrize("file", WORKFLOWS, ids=str)
def test_a_workflow_may_only_read_by_default_uses_no_secrets_and_limits_concurrent_runs(file: Path) -> None:
    workflow = _load(file)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\bsecrets\.\w", text)
    assert "pull_request_target" not in text
    assert "workflow_run" not in text


def test_no_checkout_keeps_its_token() -> None:
    checkouts = [step for step in _steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert [step for step in checkouts if step["with"].get("persist-credentials") is not False] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_short_and_reads_untrusted_values_only_from_the_environment(script: str) -> None:
    assert "${{" not in script
    assert len(script.splitlines()) <= MOST_LINES


def test_every_target_that_a_command_names_exists() -> None:
    named = {label for command in COMMANDS for label in re.findall(r"(?<!\S)//[\w/.:]*", command)}
    assert "//..." in named
    for label in named:
        package, _, name = label.removeprefix("//").partition(":")
        if package.endswith("..."):
            assert list(Path(package.removesuffix("...")).rglob("BUILD.bazel")), label
        else:
            build = Path(package, "BUILD.bazel").read_text(encoding="utf-8")
            assert f'name = "{name or Path(package).name}"' in build, label


def test_every_configuration_that_a_file_names_exists() -> None:
    bazelrc = Path(".bazelrc").read_text(encoding="utf-8")
    texts = [file.read_text(encoding="utf-8") for file in (*WORKFLOWS, PRE_COMMIT, DEV_CONTAINER, Path(".ci/run"))]
    named = set(re.findall(r"--config=(\w+)", "\n".join(texts)))
    assert {"ci", "deflake", "release"} <= named
    assert {name for name in named if not re.search(rf"^\w+:{name} ", bazelrc, re.MULTILINE)} == set()


def test_every_script_that_a_command_runs_exists_and_is_executable() -> None:
    named = {word for command in COMMANDS for word in re.findall(r"(?<!\S)(?:tools|\.ci)/\S+", command)}
    assert ".ci/run" in named
    for script in named:
        assert os.access(script, os.X_OK), script


def test_the_guide_describes_every_workflow_and_every_variable() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    assert {file.name for file in WORKFLOWS if f"`{file.name}`" not in guide} == set()
    texts = "\n".join(file.read_text(encoding="utf-8") for file in WORKFLOWS)
    variables = set(re.findall(r"\bvars\.(\w+)", texts))
    assert variables
    assert {name for name in variables if f"`{name}`" not in guide} == set()
