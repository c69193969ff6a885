"""Timeouts of all tests: how long a test waits for an event before it fails.

A timeout that is too short makes a test fail on a slow machine. One that is too long only delays the report of a hang.
So the timeouts are generous, and scaled by the speed of this machine under its current load, which is measured when
this module is imported.
"""

import os
import time

# Duration of the loop below on an idle core of a fast server (AMD EPYC, CPython 3.13).
_REFERENCE_SECONDS = 0.04
_ROUNDS = 2_000_000
_SECONDS_AT_REFERENCE_SPEED = 60


def _slowdown() -> float:
    """Return how many times longer a loop takes here than on the reference machine, at least 1."""
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        pass
    return max(1, (time.perf_counter() - began) / _REFERENCE_SECONDS)


SLOWDOWN = _slowdown()
"""How many times slower this machine is than a fast, idle one; at least 1.

It is for tests of behaviour that has a fixed duration.
"""

# Bazel kills a test after TEST_TIMEOUT seconds, without reporting what the test was waiting for. So the test has to
# fail earlier, even if it waits more than once.
_TEST_SECONDS = int(os.environ.get("TEST_TIMEOUT", "3600"))
_WORK_ENDS = time.monotonic() + 0.7 * _TEST_SECONDS

SECONDS = min(_SECONDS_AT_REFERENCE_SPEED * SLOWDOWN, _TEST_SECONDS / 4)
"""The timeout, in seconds, for events that should happen at once: an answer, a log line, the end of a process."""


def seconds_left() -> float:
    """Return the timeout, in seconds, for long work such as a build.

    The work may take most of the time that Bazel allows the test. The rest is enough to wait for `SECONDS` once more.
    """
    return max(0, _WORK_ENDS - time.monotonic())
