"""Tests of the running image: the server answers, has everything that it needs, and shuts down gracefully."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from bazel.oci.container import Container
from bazel.oci.layout import Layout
from testing import image_server, programs, timeouts
from testing.open_call import OpenCall

# Modules that Debian ships in separate packages, with libraries that a server does not need.
NOT_INSTALLED = {"curses", "ensurepip", "idlelib", "readline", "tkinter", "turtle", "turtledemo"}
WINDOWS_ONLY = {"msvcrt", "nt", "winreg", "winsound"}

CHECK_SYSTEM_FILES = """
import locale, socket, ssl, sqlite3, tempfile
locale.setlocale(locale.LC_ALL, "")
assert "\u20ac".encode() == open(0, "rb", closefd=False).read()
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 100
assert socket.getaddrinfo("127.0.0.1", 80)
assert sqlite3.connect(":memory:").execute("select 42").fetchone() == (42,)
tempfile.TemporaryFile().close()
print("ok")
"""

IMPORT_ALL = """
import importlib, os, pkgutil, sys
failed = []
names = [name for name in sys.stdlib_module_names if not name.startswith("_") and name not in ("antigravity", "this")]
names += [module.name for module in pkgutil.iter_modules(["/app", "/app/site-packages"])]
names += {name.partition(".")[0] for name in os.listdir(os.path.dirname(os.__file__) + "/lib-dynload")}
for name in sorted(names):
    try:
        importlib.import_module(name)
    except ImportError:
        failed.append(name)
print(os.getuid(), os.access("/", os.W_OK), *failed)
"""


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    return Container(Layout(Path("deploy/image")), tmp_path_factory.mktemp("root"), Path(os.environ["BWRAP"]))


def test_an_unprivileged_user_without_write_access_can_import_every_module(container: Container) -> None:
    imported = programs.run(container.command({}, "/usr/bin/python3", "-c", IMPORT_ALL))
    user, writable, *failed = imported.stdout.split()
    assert (user, writable) == ("65532", "False")
    assert set(failed) == NOT_INSTALLED | WINDOWS_ONLY, imported.stderr


def test_the_image_has_certificates_utf8_and_a_folder_for_temporary_files(container: Container) -> None:
    command = container.command({}, "/usr/bin/python3", "-c", CHECK_SYSTEM_FILES)
    finished = programs.run(command, standard_input="\u20ac")
    assert finished.stdout == "ok\n", finished.stderr


@pytest.fixture(scope="module")
def server(container: Container) -> Iterator[programs.Server]:
    with image_server.serving(container, K_SERVICE="calculator") as running:
        yield running


def test_grpcurl_lists_the_services_and_calls_one(server: programs.Server) -> None:
    listed = programs.run([programs.grpcurl(), "-plaintext", server.address, "list"])
    assert "calculator.v1.Calculator" in listed.stdout.splitlines(), listed.stderr
    request = '{"operation": "OPERATION_MULTIPLY", "first_operand": 6, "second_operand": 7}'
    method = "calculator.v1.Calculator/Calculate"
    called = programs.run([programs.grpcurl(), "-plaintext", "-d", request, server.address, method])
    assert json.loads(called.stdout) == {"result": 42}, called.stderr


def test_the_server_is_process_1_and_has_no_capabilities(server: programs.Server) -> None:
    process = Path(f"/proc/{Container.process(server.process.pid)}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text("ascii").splitlines())
    assert status["NSpid"].split()[-1] == "1"
    assert (process / "uid_map").read_text("ascii").split()[0] == "65532"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0


def test_sigterm_drains_calls_in_flight_and_exits_with_status_0(container: Container) -> None:
    with (
        image_server.serving(container, K_SERVICE="calculator") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        call = OpenCall(channel)
        os.kill(Container.process(server.process.pid), signal.SIGTERM)
        server.wait_for_log("Stopping on SIGTERM")
        assert call.add_one() == 2
        assert call.end() == grpc.StatusCode.OK
        assert server.process.wait(timeouts.SECONDS) == 0
        assert server.wait_for_log("Stopped")
