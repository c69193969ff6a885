"""Tests of an Envoy that does not start."""

import os
from pathlib import Path

import pytest

from ingress.envoy import Envoy, EnvoyError


def test_a_port_that_is_taken_is_reported_even_if_envoy_exits_before_its_last_lines_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = tmp_path / "late"
    os.mkfifo(late)
    envoy = Envoy(["sh", "-c", f"cat '{late}' >&2 & exit 1"], tmp_path / "admin")
    wait_for_lines = envoy._follower.join  # noqa: SLF001 - replaced below, to write the last line only during the wait

    def write_and_wait() -> None:
        late.write_text("cannot bind: Address already in use\n", encoding="utf-8")
        wait_for_lines()

    with monkeypatch.context() as patched:
        patched.setattr(envoy._follower, "join", write_and_wait)  # noqa: SLF001
        with pytest.raises(EnvoyError, match="the port is taken"):
            envoy.port()
    envoy.end()
