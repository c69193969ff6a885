"""What is known of a push before anything is sent."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazel.oci import push

GOOGLE = "europe-west1-docker.pkg.dev"
_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,9}[a-z0-9])?", fullmatch=True)


@given(st.integers(1, 65535), st.lists(_NAMES, min_size=1, max_size=3), st.from_regex(r"\w[\w.-]{0,9}", fullmatch=True))
def test_a_reference_is_a_repository_and_a_tag(port: int, path: list[str], tag: str) -> None:
    repository = f"localhost:{port}/" + "/".join(path)
    assert push.parse(repository) == (repository, [])
    if tag.isascii():
        assert push.parse(f"{repository}:{tag}", ["more"]) == (repository, [tag, "more"])


@pytest.mark.parametrize("tag", ["", "a b", "-a", "a:b", "é", "x" * 129])
def test_what_is_no_tag_is_refused_with_what_is(tag: str) -> None:
    with pytest.raises(ValueError, match="accepted are up to 128"):
        push.parse("localhost:1/x", [tag])


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have gcloud installed, which brings this helper."""
    (tmp_path / "docker-credential-gcloud").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("gcloud")
def test_gcloud_is_asked_for_googles_registries_where_docker_knows_nothing_of_them() -> None:
    config = {"auths": {"docker.io": {"auth": "x"}}, "credHelpers": {"gcr.io": "gcr"}}
    asked = push.with_gcloud(config, GOOGLE)
    assert asked == config | {"credHelpers": {"gcr.io": "gcr", GOOGLE: "gcloud"}}
    assert push.with_gcloud({}, "eu.gcr.io") == {"credHelpers": {"eu.gcr.io": "gcloud"}}


@pytest.mark.usefixtures("gcloud")
@pytest.mark.parametrize(
    ("config", "registry"),
    [
        ({"credHelpers": {GOOGLE: "mine"}}, GOOGLE),
        ({"auths": {GOOGLE: {"auth": "x"}}}, GOOGLE),
        ({}, "docker.io"),
        ({}, "pkg.dev.example.com"),
        ({}, "evilpkg.dev"),
    ],
)
def test_gcloud_is_asked_for_no_other_registry_and_never_instead_of_docker(
    config: dict[str, dict[str, str]], registry: str
) -> None:
    assert push.with_gcloud(config, registry) is None


def test_without_gcloud_dockers_configuration_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert push.with_gcloud({}, GOOGLE) is None
