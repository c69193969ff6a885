"""Tests of listening.ips, which reads files of the kernel that change while it reads them."""

import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

from testing import listening


def test_files_that_the_process_closes_meanwhile_are_no_error() -> None:
    finished = threading.Event()

    def open_and_close() -> None:
        while not finished.is_set():
            with ExitStack() as stack:
                for _ in range(100):
                    stack.enter_context(Path(os.devnull).open("rb"))

    thread = threading.Thread(target=open_and_close)
    thread.start()
    try:
        with socket.create_server(("127.0.0.1", 0)):
            for _ in range(50):
                assert listening.ips(os.getpid()) == {"127.0.0.1"}
    finally:
        finished.set()
        thread.join()
