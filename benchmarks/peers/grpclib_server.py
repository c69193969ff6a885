"""A server on grpclib, which implements gRPC for asyncio without gRPC core, on an HTTP/2 stack in Python."""

import asyncio
import sys
from typing import Any

from calculator.v1 import calculator_pb2 as pb
from grpclib.const import Cardinality, Handler
from grpclib.server import Server
from routeguide import route_guide_pb2

from benchmarks.peers import async_servicers


async def _calculate(stream: Any) -> None:  # noqa: ANN401
    await stream.send_message(async_servicers.calculate(await stream.recv_message()))


async def _list_features(stream: Any) -> None:  # noqa: ANN401
    for feature in async_servicers.list_features(await stream.recv_message()):
        await stream.send_message(feature)


async def _aggregate(stream: Any) -> None:  # noqa: ANN401
    await stream.send_message(await async_servicers.aggregate(stream))


async def _converse(stream: Any) -> None:  # noqa: ANN401
    answer = async_servicers.conversation()
    async for request in stream:
        await stream.send_message(answer(request))


class _Services:
    def __mapping__(self) -> dict[str, Handler]:
        calculator, guide = "/calculator.v1.Calculator", "/routeguide.RouteGuide"
        return {
            f"{calculator}/Calculate": Handler(
                _calculate, Cardinality.UNARY_UNARY, pb.CalculateRequest, pb.CalculateResponse
            ),
            f"{calculator}/Aggregate": Handler(
                _aggregate, Cardinality.STREAM_UNARY, pb.AggregateRequest, pb.AggregateResponse
            ),
            f"{calculator}/Converse": Handler(
                _converse, Cardinality.STREAM_STREAM, pb.ConverseRequest, pb.ConverseResponse
            ),
            f"{guide}/ListFeatures": Handler(
                _list_features, Cardinality.UNARY_STREAM, route_guide_pb2.Rectangle, route_guide_pb2.Feature
            ),
        }


async def _serve() -> None:
    server = Server([_Services()])
    await server.start("127.0.0.1", 0)
    [listening] = server._server.sockets  # type: ignore[union-attr] # noqa: SLF001 - the port is not public
    print(f"Listening on 127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    await server.wait_closed()


def main() -> None:
    """Serve on any free port, until killed."""
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
