"""A server on grpc.aio, gRPC's own asyncio server; with the argument "uvloop", it uses that event loop."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from calculator.v1 import calculator_pb2_grpc
from routeguide import route_guide_pb2_grpc

from benchmarks.peers import async_servicers

# The generated code has type annotations only for servers with threads.
_CalculatorServicer: Any = calculator_pb2_grpc.CalculatorServicer
_RouteGuideServicer: Any = route_guide_pb2_grpc.RouteGuideServicer


class _Calculator(_CalculatorServicer):  # type: ignore[misc]
    async def Calculate(self, request: Any, context: Any) -> Any:  # noqa: ANN401
        return async_servicers.calculate(request)

    async def Aggregate(self, request_iterator: Any, context: Any) -> Any:  # noqa: ANN401
        return await async_servicers.aggregate(request_iterator)

    async def Converse(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        answer = async_servicers.conversation()
        async for request in request_iterator:
            yield answer(request)


class _Guide(_RouteGuideServicer):  # type: ignore[misc]
    async def ListFeatures(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        for feature in async_servicers.list_features(request):
            yield feature


async def _serve() -> None:
    server: Any = grpc.aio.server()
    calculator_pb2_grpc.add_CalculatorServicer_to_server(_Calculator(), server)
    route_guide_pb2_grpc.add_RouteGuideServicer_to_server(_Guide(), server)
    port = server.add_insecure_port("[::]:0")
    await server.start()
    print(f"Listening on [::]:{port}", file=sys.stderr, flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Serve on any free port, until killed."""
    if sys.argv[1:] == ["uvloop"]:
        import uvloop  # noqa: PLC0415 - import it only if it is used

        uvloop.run(_serve())
    else:
        asyncio.run(_serve())


if __name__ == "__main__":
    main()
