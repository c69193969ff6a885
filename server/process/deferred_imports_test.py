"""What is put off is there for who asks for it, once, and from any thread."""

import sys

import pytest

from testing import programs

# Imports what the server does, and then says whether asyncio was loaded, and does something with it.
BEGIN = """
import sys
from server import worker
print([name for name in ("asyncio", "grpc.aio", "google.protobuf.internal.python_message") if name in sys.modules])
"""

# A coroutine is cancelled; the exception's own module is imported first, which must not make it another class.
CANCEL = """
from asyncio.exceptions import CancelledError
import asyncio
async def cancelled():
    task = asyncio.ensure_future(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except CancelledError:
        print("caught")
asyncio.run(cancelled())
"""

# A server of asyncio's, with the health of grpc's companion, called by a channel of the other kind.
SERVE = """
from grpc.aio._call import AioRpcError
import asyncio, grpc, grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
async def serve():
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    await server.stop(None)
    print(answer.status, AioRpcError is grpc.aio.AioRpcError)
asyncio.run(serve())
"""

# What protobuf has in Python, asked for where it was put off and anew.
PROTOBUF = """
from google.protobuf import descriptor_pool
from google.protobuf.internal import python_message
print(descriptor_pool.python_message.GeneratedProtocolMessageType is python_message.GeneratedProtocolMessageType)
"""

# Two threads import a package and a module of it as close to each other as can be.
RACE = """
import importlib, threading
barrier = threading.Barrier(2)
def load(name):
    barrier.wait()
    importlib.import_module(name)
threads = [threading.Thread(target=load, args=[name]) for name in ("asyncio", "asyncio.events")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
import asyncio
print(asyncio.events is sys.modules["asyncio.events"])
"""


@pytest.mark.parametrize(("use", "says"), [(CANCEL, "caught"), (SERVE, "1 True"), (PROTOBUF, "True"), (RACE, "True")])
def test_it_is_loaded_when_it_is_used_and_works(use: str, says: str) -> None:
    finished = programs.run([sys.executable, "-c", BEGIN + use], PYTHONPATH=":".join(sys.path))
    assert finished.stdout.splitlines() == ["[]", says], finished.stderr
