"""Tests of a push without a registry: references, tags and credentials."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazel.oci import push
from bazel.oci.fake_image import layout_of

GOOGLE = "europe-west1-docker.pkg.dev"
_NAMES = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)


@given(st.integers(1, 65535), st.lists(_NAMES, min_size=1, max_size=3), st.from_regex(r"\w[\w.-]{0,9}", fullmatch=True))
def test_a_reference_is_parsed_into_repository_and_tag(port: int, path: list[str], tag: str) -> None:
    repository = f"localhost:{port}/" + "/".join(path)
    assert push.parse(repository) == (repository, [])
    if tag.isascii():
        assert push.parse(f"{repository}:{tag}", ["more"]) == (repository, [tag, "more"])


@pytest.mark.parametrize("tag", ["", "a b", "-a", "a:b", "é", "x" * 129])
def test_an_invalid_tag_is_refused_with_the_accepted_format(tag: str) -> None:
    with pytest.raises(ValueError, match="must be 1-128"):
        push.parse("localhost:1/x", [tag])


@pytest.mark.parametrize(
    "reference",
    [
        "calculator",
        "me/calculator:v1",
        "http://localhost:1/x",
        "localhost:1/x/",
        "localhost:1//x",
        "/localhost/x",
        "localhost:1/Some/calculator",
        "localhost:1/x@sha256:00",
        "localhost:1/x:v1@sha256:00",
        " localhost:1/x",
        "localhost:1/x\n",
        "localhost:123456/x",
    ],
)
def test_an_invalid_reference_is_refused_with_the_accepted_format(reference: str) -> None:
    with pytest.raises(ValueError, match=r"is not a valid reference: must be HOST/NAME\[:TAG\]"):
        push.parse(reference)


@pytest.mark.parametrize("domain", ["example.com", "a.b.example.org"])
def test_a_reference_with_a_project_of_a_domain_is_refused_with_the_right_form(domain: str) -> None:
    with pytest.raises(ValueError, match=f"; write the project {domain}:my-project as {domain}/my-project$"):
        push.parse(f"{GOOGLE}/{domain}:my-project/repository/calculator:v1")
    path = f"{GOOGLE}/{domain}/my-project/repository/calculator"
    assert push.parse(f"{path}:v1") == (path, ["v1"])


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up a folder for Docker's configuration, and gcloud's credential helper on PATH."""
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "docker-credential-gcloud").touch(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def _config(registry: str, docker: Path, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the configuration that crane reads."""
    if config is not None:
        (docker / "config.json").write_text(json.dumps(config), encoding="utf-8")
    folder = docker / "copy"
    folder.mkdir(exist_ok=True)
    file = Path(push.environment_for(registry, folder)["DOCKER_CONFIG"], "config.json")
    read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("registry", [GOOGLE, "gcr.io", "eu.gcr.io"])
def test_gcloud_is_used_for_googles_registries_without_credentials_in_docker(registry: str, docker: Path) -> None:
    config = {"auths": {"docker.io": {"auth": "secret"}}, "credHelpers": {"example.com": "mine"}}
    assert _config(registry, docker, config) == {"credHelpers": {registry: "gcloud"}}


def test_gcloud_is_used_if_docker_has_no_configuration(docker: Path) -> None:
    assert _config(GOOGLE, docker, None) == {"credHelpers": {GOOGLE: "gcloud"}}


@pytest.mark.parametrize(
    ("config", "registry"),
    [
        ({"credHelpers": {GOOGLE: "mine"}}, GOOGLE),
        ({"auths": {GOOGLE: {"auth": "x"}}}, GOOGLE),
        ({"auths": {f"https://{GOOGLE}": {"auth": "x"}}}, GOOGLE),
        ({"auths": {f"{GOOGLE}/project/repository": {"auth": "x"}}}, GOOGLE),
        ({"auths": None, "credsStore": "mine"}, GOOGLE),
        ({}, "docker.io"),
        ({}, "pkg.dev.example.com"),
        ({}, "evilpkg.dev"),
    ],
)
def test_gcloud_is_not_used_for_other_registries_or_if_docker_has_credentials(
    config: Mapping[str, Any], registry: str, docker: Path
) -> None:
    assert _config(registry, docker, config) == config


def test_without_gcloud_dockers_configuration_is_used(docker: Path) -> None:
    (docker / "docker-credential-gcloud").unlink()
    assert _config(GOOGLE, docker, {}) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": 1}'])
def test_a_configuration_that_cannot_be_read_is_named(text: str, docker: Path) -> None:
    (docker / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(push.ConfigError, match=r"docker/config\.json cannot be read"):
        push.environment_for(GOOGLE, docker)


def _crane(folder: Path) -> Path:
    """Write a fake crane, which appends its arguments and the configuration folder to a file."""
    crane = folder / "crane"
    crane.write_text(f'#!/bin/sh\necho "$1 $3 $DOCKER_CONFIG" >>{folder}/said\n', encoding="utf-8")
    crane.chmod(0o755)
    return crane


def _main(folder: Path, repository: str, tags: list[str]) -> int:
    """Push the image in a folder, without signing it."""
    unused = Path("/nonexistent")
    return push.main(push.Target(_crane(folder), unused, unused, folder / "image", unused, repository, tags))


def test_repository_and_tags_of_the_target_are_used_unless_the_command_line_has_others(
    tmp_path: Path, docker: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layout_of(tmp_path / "image", {"app": {"program": b""}})
    own = "localhost:1/own"
    for arguments, repository, tag in (([], own, "v1"), (["localhost:1/x:v2"], "localhost:1/x", "v2")):
        monkeypatch.setattr(sys, "argv", ["push", *arguments])
        assert _main(tmp_path, own, ["v1"]) == 0
        assert capsys.readouterr().out.startswith(f"{repository}:{tag}@sha256:")
    assert f"push localhost:1/x:v2 {docker}\n" in (tmp_path / "said").read_text(encoding="utf-8")


def test_crane_gets_the_configuration_that_uses_gcloud(
    tmp_path: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout_of(tmp_path / "image", {"app": {"program": b""}})
    monkeypatch.setattr(sys, "argv", ["push", f"{GOOGLE}/p/r/calculator:v1"])
    assert _main(tmp_path, "", []) == 0
    said = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert said
    assert not [line for line in said if line.endswith(f" {docker}")]
