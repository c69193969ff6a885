"""SIGINT and SIGTERM as an exception, so that all that was begun is ended, in turn."""

import signal
from typing import NoReturn

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):  # noqa: N818 - it is no error
    """A signal came.

    Attributes:
        number: which one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_when_told_to_stop() -> None:
    """Have the first of these signals raise Stopped in the main thread; the next ones do nothing.

    Who is impatient is not listened to, or something would stay behind.
    """
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)


def _stop(number: int, _: object) -> NoReturn:
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
