"""Test of the wheel: installed into an empty environment, it runs a hello-world server."""

import os
from pathlib import Path

from testing import programs

UV, PYTHON, WHEEL = (Path(os.environ[name]).absolute() for name in ("UV", "PYTHON", "WHEEL"))

HELLO = """
from concurrent import futures

import grpc
import nggrpc


@nggrpc.never_blocks
def say_hello(request, context):
    return b"Hello, " + request + b"!"


server = nggrpc.server(futures.ThreadPoolExecutor(1))
handlers = {"SayHello": grpc.unary_unary_rpc_method_handler(say_hello)}
server.add_registered_method_handlers("Greeter", handlers)
port = server.add_insecure_port("localhost:0")
server.start()
with grpc.insecure_channel(f"localhost:{port}") as channel:
    print(channel.unary_unary("/Greeter/SayHello")(b"you", timeout=60).decode())
server.stop(None).wait()
"""


def test_the_installed_wheel_serves_a_hello_world(tmp_path: Path) -> None:
    wheels = {str(path.parent) for path in Path("..").glob("*pypi_*/*.whl")}
    assert wheels
    found = [f"--find-links={Path(folder).absolute()}" for folder in wheels]
    options = ["--no-index", "--offline", "--no-cache", f"--target={tmp_path}", f"--python={PYTHON}"]
    installed = programs.run([UV, "pip", "install", *options, *found, WHEEL])
    assert installed.returncode == 0, installed.stderr
    said = programs.run([PYTHON, "-S", "-c", HELLO], tmp_path, PYTHONPATH=str(tmp_path))
    assert (said.stdout, said.returncode) == ("Hello, you!\n", 0), said.stderr
