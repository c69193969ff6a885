"""Deferred modules, which must be importable once, and from any thread."""

import sys

import pytest

from testing import programs

# Imports the modules of the server, and prints which of the deferred ones were loaded.
BEGIN = """
import sys
from server import worker
print([name for name in ("asyncio", "grpc.aio", "google.protobuf.internal.python_message") if name in sys.modules])
"""

# Cancels a coroutine. The exception's own module is imported first, which must not create another class.
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

# Calls the health service of an asyncio server through an asyncio channel.
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

# Gets the pure-Python implementation of protobuf where its import was deferred, and by a new import.
PROTOBUF = """
from google.protobuf import descriptor_pool
from google.protobuf.internal import python_message
print(descriptor_pool.python_message.GeneratedProtocolMessageType is python_message.GeneratedProtocolMessageType)
"""

# Imports a package and one of its modules in two threads at the same time.
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


@pytest.mark.parametrize(("use", "output"), [(CANCEL, "caught"), (SERVE, "1 True"), (PROTOBUF, "True"), (RACE, "True")])
def test_a_deferred_module_is_loaded_at_its_first_use(use: str, output: str) -> None:
    finished = programs.run([sys.executable, "-c", BEGIN + use], PYTHONPATH=":".join(sys.path))
    assert finished.stdout.splitlines() == ["[]", output], finished.stderr
