"""Interop cases with grpclib's client, which has its own HTTP/2 stack and does not support compression."""

import asyncio
from typing import Any

import pytest
from grpclib.client import Channel, StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from interop import empty_pb2, messages_pb2

from tests.interop import cases

TIMEOUT = cases.TIMEOUT_SECONDS


def run(case: str, address: str) -> None:
    """Run a case; raise an exception if it fails."""
    asyncio.run(_run(case, address))


async def _run(case: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    async with Channel(host, int(port)) as channel:
        await globals()[case](channel)
        await empty_unary(channel)  # some cases end before they have reached the server


def _empty_call(channel: Channel, path: str = cases.SERVICE + "EmptyCall") -> Any:  # noqa: ANN401
    return UnaryUnaryMethod(channel, path, empty_pb2.Empty, empty_pb2.Empty)


def _unary_call(channel: Channel) -> Any:  # noqa: ANN401
    path = cases.SERVICE + "UnaryCall"
    return UnaryUnaryMethod(channel, path, messages_pb2.SimpleRequest, messages_pb2.SimpleResponse)


def _input_call(channel: Channel) -> Any:  # noqa: ANN401
    path = cases.SERVICE + "StreamingInputCall"
    return StreamUnaryMethod(
        channel, path, messages_pb2.StreamingInputCallRequest, messages_pb2.StreamingInputCallResponse
    )


def _output_call(channel: Channel) -> Any:  # noqa: ANN401
    path = cases.SERVICE + "StreamingOutputCall"
    return UnaryStreamMethod(
        channel, path, messages_pb2.StreamingOutputCallRequest, messages_pb2.StreamingOutputCallResponse
    )


def _duplex_call(channel: Channel) -> Any:  # noqa: ANN401
    path = cases.SERVICE + "FullDuplexCall"
    return StreamStreamMethod(
        channel, path, messages_pb2.StreamingOutputCallRequest, messages_pb2.StreamingOutputCallResponse
    )


async def empty_unary(channel: Channel) -> None:
    assert await _empty_call(channel)(empty_pb2.Empty(), timeout=TIMEOUT) == empty_pb2.Empty()


async def large_unary(channel: Channel) -> None:
    response = await _unary_call(channel)(cases.large_unary(), timeout=TIMEOUT)
    assert response.payload.body == bytes(cases.LARGE_RESPONSE_SIZE)


async def client_streaming(channel: Channel) -> None:
    response = await _input_call(channel)([cases.upload(size) for size in cases.UPLOAD_SIZES], timeout=TIMEOUT)
    assert response.aggregated_payload_size == sum(cases.UPLOAD_SIZES)


async def server_streaming(channel: Channel) -> None:
    responses = await _output_call(channel)(cases.download(*cases.DOWNLOAD_SIZES), timeout=TIMEOUT)
    assert [len(response.payload.body) for response in responses] == list(cases.DOWNLOAD_SIZES)


async def ping_pong(channel: Channel) -> None:
    async with _duplex_call(channel).open(timeout=TIMEOUT) as stream:
        for request, size in zip(cases.ping_pong(), cases.DOWNLOAD_SIZES, strict=True):
            await stream.send_message(request)
            response = await stream.recv_message()
            assert response.payload.body == bytes(size)
        await stream.end()
        assert await stream.recv_message() is None


async def empty_stream(channel: Channel) -> None:
    assert await _duplex_call(channel)([], timeout=TIMEOUT) == []


async def custom_metadata(channel: Channel) -> None:
    metadata = [cases.INITIAL_METADATA, cases.TRAILING_METADATA]
    request = cases.download(cases.LARGE_RESPONSE_SIZE, upload_size=cases.LARGE_REQUEST_SIZE)
    for method, message in ((_unary_call, cases.large_unary()), (_duplex_call, request)):
        async with method(channel).open(metadata=metadata, timeout=TIMEOUT) as stream:
            await stream.send_message(message, end=True)
            assert len((await stream.recv_message()).payload.body) == cases.LARGE_RESPONSE_SIZE
            await stream.recv_trailing_metadata()
            assert cases.INITIAL_METADATA in stream.initial_metadata.items()
            assert cases.TRAILING_METADATA in stream.trailing_metadata.items()


async def _status(channel: Channel, status: messages_pb2.EchoStatus) -> None:
    for call in (
        _unary_call(channel)(cases.unary(0, 0, response_status=status), timeout=TIMEOUT),
        _duplex_call(channel)([messages_pb2.StreamingOutputCallRequest(response_status=status)], timeout=TIMEOUT),
    ):
        with pytest.raises(GRPCError) as refused:
            await call
        assert (refused.value.status, refused.value.message) == (Status.UNKNOWN, status.message)


async def status_code_and_message(channel: Channel) -> None:
    await _status(channel, cases.STATUS)


async def special_status_message(channel: Channel) -> None:
    await _status(channel, cases.SPECIAL_STATUS)


async def _unimplemented(channel: Channel, path: str) -> None:
    with pytest.raises(GRPCError) as refused:
        await _empty_call(channel, path)(empty_pb2.Empty(), timeout=TIMEOUT)
    assert refused.value.status is Status.UNIMPLEMENTED


async def unimplemented_method(channel: Channel) -> None:
    await _unimplemented(channel, cases.SERVICE + "UnimplementedCall")


async def unimplemented_service(channel: Channel) -> None:
    await _unimplemented(channel, cases.UNIMPLEMENTED_SERVICE + "UnimplementedCall")


async def cancel_after_begin(channel: Channel) -> None:
    async with _input_call(channel).open(timeout=TIMEOUT) as stream:
        await stream.send_request()
        await stream.cancel()


async def cancel_after_first_response(channel: Channel) -> None:
    async with _duplex_call(channel).open(timeout=TIMEOUT) as stream:
        await stream.send_message(cases.ping_pong()[0])
        assert (await stream.recv_message()).payload.body == bytes(cases.DOWNLOAD_SIZES[0])
        await stream.cancel()


async def timeout_on_sleeping_server(channel: Channel) -> None:
    opened = _duplex_call(channel).open(timeout=cases.SHORT_TIMEOUT_SECONDS)
    with pytest.raises((asyncio.TimeoutError, GRPCError)) as expired:  # raised by the client or sent by the server
        await _wait_for_more(opened)
    assert not isinstance(expired.value, GRPCError) or expired.value.status is Status.DEADLINE_EXCEEDED


async def _wait_for_more(opened: Any) -> None:  # noqa: ANN401
    async with opened as stream:
        await stream.send_message(cases.ping_pong()[0])
        while await stream.recv_message():
            pass
