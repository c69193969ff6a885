"""How long a test waits for an event before it fails: the one place that decides.

A timeout that is too short fails on a slow machine. One that is too long only delays the report of a hang. So it is
generous, and scaled by the speed of this machine under its present load, measured when this module is imported.
"""

import os
import time

# What the work below takes on an idle core of a fast server (AMD EPYC, CPython 3.13).
_REFERENCE_SECONDS = 0.04
_ROUNDS = 2_000_000
_SECONDS_AT_REFERENCE_SPEED = 60


def _slowdown() -> float:
    """Return how many times as long as on the reference machine some work takes here, at least 1."""
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        pass
    return max(1, (time.perf_counter() - began) / _REFERENCE_SECONDS)


SLOWDOWN = _slowdown()
"""How many times as long as on a fast, idle machine things take here.

It is for tests of behaviour that has a fixed duration.
"""

# Bazel ends a test after TEST_TIMEOUT seconds, without saying what the test waited for. The test has to fail earlier,
# and it may wait more than once.
_TEST_SECONDS = int(os.environ.get("TEST_TIMEOUT", "3600"))
_WORK_ENDS = time.monotonic() + 0.7 * _TEST_SECONDS

SECONDS = min(_SECONDS_AT_REFERENCE_SPEED * SLOWDOWN, _TEST_SECONDS / 4)
"""The timeout, in seconds, for whatever should happen at once: an answer, a log line, the end of a process."""


def seconds_left() -> float:
    """Return the timeout, in seconds, for long work such as a build.

    The work may take most of the time that Bazel gives the test. The rest is enough to wait once more for `SECONDS`.
    """
    return max(0, _WORK_ENDS - time.monotonic())
