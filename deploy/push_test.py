"""Tests of //deploy:push with a real registry, from which the image is pulled again."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bazel.oci.container import Container
from bazel.oci.layout import Layout, digest
from testing import image_server, oci_registry, programs
from testing.oci_registry import Registry

PUSH = Path("deploy/push").absolute()
IMAGE = Layout(Path("deploy/image"))
DIGEST = IMAGE.reference()["digest"]
# A request that uploads something.
UPLOAD = re.compile(r"(POST|PATCH|PUT) .*")


def _push(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return programs.run([PUSH, *arguments], **environment)


def _crane(*arguments: str) -> str:
    finished = programs.run([Path(os.environ["CRANE"]).absolute(), *arguments])
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with oci_registry.serving(tmp_path) as running:
        yield running


def test_a_push_prints_the_digest_with_each_tag_and_both_tags_can_be_pulled(registry: Registry) -> None:
    name = f"{registry.host}/some/calculator"
    pushed = _push(f"{name}:v1", "--tag", "latest", "--tag", "v1")
    assert pushed.stdout.splitlines() == [f"{name}:v1@{DIGEST}", f"{name}:latest@{DIGEST}"], pushed.stderr
    assert {_crane("digest", f"{name}:{tag}").strip() for tag in ("v1", "latest")} == {DIGEST}
    _crane("validate", "--remote", f"{name}@{DIGEST}")


def test_tags_are_pushed_last(registry: Registry) -> None:
    _push(f"{registry.host}/some/calculator:v1")
    puts = [request.rpartition("/")[2] for request in registry.requests() if re.match("PUT .*/manifests/", request)]
    assert puts[0] == DIGEST
    assert puts[-1] == "v1"
    assert DIGEST.replace(":", "-") in puts[1:-1]


def test_without_a_tag_the_image_is_pushed_by_digest(registry: Registry) -> None:
    name = f"{registry.host}/some/calculator"
    assert _push("--repository", name).stdout == f"{name}@{DIGEST}\n"
    assert _crane("digest", f"{name}@{DIGEST}").strip() == DIGEST


def test_a_second_push_uploads_nothing(registry: Registry) -> None:
    reference = f"{registry.host}/some/calculator:v1"
    _push(reference)
    assert [request for request in registry.requests() if UPLOAD.match(request)]
    assert _push(reference).returncode == 0
    again = registry.requests()
    assert again
    assert [request for request in again if UPLOAD.match(request)] == []


def test_the_pulled_image_is_identical_and_runs(registry: Registry, tmp_path: Path) -> None:
    reference = f"{registry.host}/some/calculator:v1"
    _push(reference)
    _crane("pull", "--format=oci", reference, str(tmp_path / "pulled"))
    pulled = Layout(tmp_path / "pulled")
    assert pulled.reference() == IMAGE.reference()
    assert list(map(digest, pulled.layers())) == IMAGE.config()["rootfs"]["diff_ids"]
    (tmp_path / "root").mkdir()
    container = Container(pulled, tmp_path / "root", Path(os.environ["BWRAP"]))
    with image_server.serving(container) as server:
        called = programs.run([programs.CLIENT, "--target", server.address, "add", "2", "3"])
    assert called.stdout == "5\n", called.stderr


def test_the_bill_of_materials_is_found_by_the_digest_of_the_image(registry: Registry) -> None:
    name = f"{registry.host}/some/calculator"
    _push(f"{name}:v1")
    # This registry does not have the referrers API. Such a registry lists the referrers of an image under a tag:
    # https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
    [referrer] = json.loads(_crane("manifest", f"{name}:{DIGEST.replace(':', '-')}"))["manifests"]
    assert referrer["artifactType"] == "application/vnd.cyclonedx+json"
    manifest = json.loads(_crane("manifest", f"{name}@{referrer['digest']}"))
    assert manifest["subject"] == IMAGE.reference()
    [layer] = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.cyclonedx+json"
    assert _crane("blob", f"{name}@{layer['digest']}") == Path("deploy/sbom.cdx.json").read_text(encoding="utf-8")


def _docker_config(folder: Path, host: str, **settings: object) -> str:
    (folder / "docker").mkdir()
    config = {"auths": {host: {}}} | settings
    (folder / "docker/config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder / "docker")


def test_a_password_in_dockers_configuration_is_used(tmp_path: Path) -> None:
    with oci_registry.serving(tmp_path, needs_password=True) as private:
        token = base64.b64encode(f"{oci_registry.USER}:{oci_registry.PASSWORD}".encode()).decode()
        folder = _docker_config(tmp_path, private.host, auths={private.host: {"auth": token}})
        pushed = _push(f"{private.host}/some/calculator:v1", DOCKER_CONFIG=folder)
        assert pushed.stdout.endswith(f":v1@{DIGEST}\n")
        assert token not in pushed.stderr
        assert oci_registry.PASSWORD not in pushed.stderr


def test_a_credential_helper_in_dockers_configuration_is_used(tmp_path: Path) -> None:
    helper = tmp_path / "docker-credential-somewhere"
    answer = json.dumps({"Username": oci_registry.USER, "Secret": oci_registry.PASSWORD})
    helper.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    helper.chmod(0o755)
    with oci_registry.serving(tmp_path, needs_password=True) as private:
        folder = _docker_config(tmp_path, private.host, credHelpers={private.host: "somewhere"})
        path = f"{tmp_path}:{os.environ['PATH']}"
        pushed = _push(f"{private.host}/some/calculator:v1", DOCKER_CONFIG=folder, PATH=path)
        assert pushed.stdout.endswith(f":v1@{DIGEST}\n"), pushed.stderr


def test_without_credentials_the_error_has_the_status_and_the_command_to_log_in(tmp_path: Path) -> None:
    with oci_registry.serving(tmp_path, needs_password=True) as private:
        pushed = _push(f"{private.host}/some/calculator:v1", HOME=str(tmp_path))
        assert (pushed.returncode, pushed.stdout) == (1, "")
        assert "401 Unauthorized" in pushed.stderr
        assert f"docker login {private.host}" in pushed.stderr.splitlines()[-1]
        assert "Traceback" not in pushed.stderr


def test_an_unreachable_registry_is_an_error() -> None:
    pushed = _push("127.0.0.1:1/some/calculator:v1")
    assert (pushed.returncode, pushed.stdout) == (1, "")
    assert "connection refused" in pushed.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "one of the arguments reference --repository is required"),
        (["calculator"], "'calculator' is not a valid reference"),
        (["localhost:1/x", "--repository", "localhost:1/y"], "not allowed with argument"),
        (["localhost:1/x", "--tag", "a b"], "'a b' is not a valid tag"),
    ],
)
def test_an_invalid_reference_is_an_error_before_anything_is_sent(arguments: list[str], complaint: str) -> None:
    pushed = _push(*arguments)
    assert (pushed.returncode, pushed.stdout) == (2, "")
    assert complaint in pushed.stderr
