"""The image, run: the server in it answers, nothing else is needed, and it ends as it should."""

import os
import signal
from pathlib import Path

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from bazel.oci.layout import Layout
from deploy.container import Container
from tests import programs

# What Debian keeps in packages of their own, with libraries that no server needs, or is for other systems.
LEFT_OUT = {"curses", "ensurepip", "idlelib", "readline", "tkinter", "turtle", "turtledemo"}
ELSEWHERE = {"msvcrt", "nt", "winreg", "winsound"}

IMPORT_ALL = """
import importlib, os, pkgutil, sys
failed = []
names = [name for name in sys.stdlib_module_names if not name.startswith("_") and name not in ("antigravity", "this")]
names += [module.name for module in pkgutil.iter_modules(["/app", "/app/site-packages"])]
for name in sorted(names):
    try:
        importlib.import_module(name)
    except ImportError:
        failed.append(name)
print(os.getuid(), os.access("/", os.W_OK), *failed)
"""


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    return Container(Layout(Path("deploy/image")), tmp_path_factory.mktemp("root"))


def test_every_module_can_be_imported_by_a_user_without_rights_who_can_write_nowhere(container: Container) -> None:
    imported = programs.run(container.command("-c", IMPORT_ALL, entrypoint=["/usr/bin/python3"]))
    user, writable, *failed = imported.stdout.split()
    assert (user, writable) == ("65532", "False")
    assert set(failed) == LEFT_OUT | ELSEWHERE, imported.stderr


def test_the_server_in_it_answers_and_drains_on_sigterm(container: Container, tmp_path: Path) -> None:
    start = tmp_path / "start"
    words = container.command(PORT="0", K_SERVICE="calculator")
    start.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n', encoding="utf-8")
    start.chmod(0o755)
    with programs.serving_by(start) as server, grpc.insecure_channel(server.address) as channel:
        request = pb.CalculateRequest(operation=pb.OPERATION_MULTIPLY, first_operand=6, second_operand=7)
        assert calculator_pb2_grpc.CalculatorStub(channel).Calculate(request, timeout=10).result == 42
        [process] = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text("ascii").split()
        os.kill(int(process), signal.SIGTERM)
        assert server.process.wait(programs.PATIENCE_SECONDS) == 0
        assert server.wait_for_log("Stopped")
