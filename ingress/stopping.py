"""Turns SIGINT and SIGTERM into an exception, so that context managers clean up in order."""

import signal
from typing import NoReturn

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):  # noqa: N818 - not an error
    """SIGINT or SIGTERM was received.

    Attributes:
        number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_when_told_to_stop() -> None:
    """Have the first SIGINT or SIGTERM raise Stopped in the main thread, and ignore all later ones.

    A second signal would interrupt the cleanup and leave processes or files behind.
    """
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)


def _stop(number: int, _: object) -> NoReturn:
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
