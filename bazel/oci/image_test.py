"""Tests of writing an image and reading it again."""

from pathlib import Path

import pytest

from bazel.oci import image, report
from bazel.oci.fake_image import SETTINGS, layout_of
from bazel.oci.layout import Json, hex_of

LAYERS = {"base": {"usr/lib/large": bytes(2_000_000)}, "app": {"app/small": bytes(1_000_000)}}


def test_the_same_layers_make_the_same_image(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        layout_of(folder, LAYERS)
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(names) == 6  # oci-layout, index, manifest, config, two layers
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_reading_a_changed_blob_fails(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "layout", LAYERS)
    config = hex_of(layout.manifest()["config"])
    (tmp_path / "layout/blobs/sha256" / config).write_bytes(b"{}")
    with pytest.raises(ValueError, match=config):
        layout.config()


def test_a_report_has_a_row_for_each_layer_and_each_large_file(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "layout", LAYERS)
    first, *lines = report.report(layout).splitlines()
    assert first == f"{layout.reference()['digest']}, linux/amd64"
    assert [line.split("|")[1].strip() for line in lines[3:6]] == ["base.tar", "app.tar", "all"]
    assert lines[5].endswith("| 3.00 MB |")
    assert lines[9:] == ["| `usr/lib/large` | 2.00 MB |", "| `app/small` | 1.00 MB |"]


STAMPED = {"title": "it", "revision": "{STABLE_REVISION}", "where": "{STABLE_SOURCE}/tree/{STABLE_REVISION}"}
STATUS = {"STABLE_REVISION": "abc", "STABLE_SOURCE": "https://example.com/it"}


def test_keys_in_the_workspace_status_are_replaced() -> None:
    assert image.stamped(STAMPED, STATUS) == {
        "title": "it",
        "revision": "abc",
        "where": "https://example.com/it/tree/abc",
    }


def test_texts_with_an_unknown_key_are_omitted() -> None:
    assert image.stamped(STAMPED, {}) == {"title": "it"}
    assert image.stamped(STAMPED, {"STABLE_REVISION": "abc"}) == {"title": "it", "revision": "abc"}


@pytest.mark.parametrize("place", [{"annotations": STAMPED}, {"config": {"Labels": STAMPED}}])
def test_a_release_needs_every_key_of_annotations_and_labels(place: Json) -> None:
    settings = SETTINGS | place
    image.check_release(settings, STATUS, [])
    with pytest.raises(image.ReleaseError, match=r"has no STABLE_REVISION.*\n.*has no STABLE_SOURCE"):
        image.check_release(settings, {}, [])


def test_a_release_needs_the_pinned_packages() -> None:
    with pytest.raises(image.ReleaseError, match=r"libc6 2\.41-12 is pinned, but another version.*:lock"):
        image.check_release(SETTINGS, {}, ["libc6 2.41-12"])
