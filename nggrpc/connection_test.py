"""Property tests of a connection without its socket: input split at random, and two HTTP/2 libraries compared."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nggrpc
from nggrpc import http2
from nggrpc.connection import Connection
from nggrpc.grpc_server import Server
from nggrpc.http2 import Session
from nggrpc.testing.h2_session import H2Session
from nggrpc.testing.memory_client import MemoryClient, Request, Response, prefixed

MAX_MESSAGE_BYTES = 1000


def _echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("seen", str(len(request))),))
    return request


def _repeat(request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
    for _ in range(5):
        yield request


def _join(requests: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    return b"".join(requests)


def _answer(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        yield request[::-1]


def _fail(_request: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: 100 %")


HANDLERS: dict[str, "grpc.RpcMethodHandler[bytes, bytes]"] = {
    "Echo": grpc.unary_unary_rpc_method_handler(nggrpc.never_blocks(_echo)),
    "Repeat": grpc.unary_stream_rpc_method_handler(nggrpc.never_blocks(_repeat)),
    "Join": grpc.stream_unary_rpc_method_handler(nggrpc.never_blocks(_join)),
    "Answer": grpc.stream_stream_rpc_method_handler(nggrpc.never_blocks(_answer)),
    "Fail": grpc.unary_unary_rpc_method_handler(nggrpc.never_blocks(_fail)),
}


@pytest.fixture(scope="module")
def host() -> Server:
    """A server that is not started; the tests drive its connections."""
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    server = nggrpc.server(futures.ThreadPoolExecutor(1), options=options)
    assert isinstance(server, Server)
    server.add_registered_method_handlers("Test", HANDLERS)
    return server


MESSAGES = st.binary(max_size=300).map(prefixed)
PATHS = st.sampled_from([f"/Test/{name}" for name in HANDLERS] + ["/Test/Missing"])
REQUESTS = st.one_of(
    st.builds(Request, PATHS, MESSAGES),
    st.builds(Request, PATHS, st.lists(MESSAGES, max_size=4).map(b"".join)),
    st.builds(Request, PATHS, MESSAGES, extra=st.just((("key", "value"), ("key-bin", "AAE")))),
    st.builds(Request, PATHS, MESSAGES, ends=st.sampled_from([True, False])),
    # Invalid requests.
    st.builds(Request, PATHS, st.binary(max_size=50)),
    st.builds(Request, PATHS, st.just(prefixed(bytes(MAX_MESSAGE_BYTES + 1)))),
    st.builds(Request, PATHS, MESSAGES, content_type=st.sampled_from(["application/grpc+proto", "text/plain"])),
    st.builds(
        Request,
        PATHS,
        st.binary(max_size=300).map(lambda message: prefixed(gzip.compress(message, mtime=0), 1)),
        extra=st.sampled_from([(("grpc-encoding", name),) for name in ("gzip", "deflate", "identity", "snappy")]),
    ),
    st.builds(
        Request,
        PATHS,
        st.binary(max_size=300).map(lambda message: prefixed(zlib.compress(message), 1)),
        extra=st.just((("grpc-encoding", "deflate"),)),
    ),
    st.builds(Request, PATHS, MESSAGES, extra=st.sampled_from([(("grpc-timeout", "1"),), (("x-bin", "!"),)])),
)


NewSession = Callable[[int, int], Session]


def _responses(
    host: Server, new_session: NewSession, requests: list[Request], cut: Callable[[bytes], list[bytes]]
) -> dict[int, Response]:
    client = MemoryClient()
    for request in requests:
        client.begin(request)
    connection = Connection(host, new_session(100, 16384), "test:", lambda: None)
    client.exchange(connection, cut)
    connection.lose()
    return client.responses


def _whole(data: bytes) -> list[bytes]:
    return [data]


@given(requests=st.lists(REQUESTS, min_size=1, max_size=6), sizes=st.lists(st.integers(1, 60), min_size=1))
def test_responses_do_not_depend_on_how_the_bytes_are_split(
    host: Server, requests: list[Request], sizes: list[int]
) -> None:
    def cut(data: bytes) -> list[bytes]:
        parts: list[bytes] = []
        position = 0
        while position < len(data):
            size = sizes[len(parts) % len(sizes)]
            parts.append(data[position : position + size])
            position += size
        return parts

    split = _responses(host, http2.new_session, requests, cut)
    assert split == _responses(host, http2.new_session, requests, _whole)


@given(requests=st.lists(REQUESTS, min_size=1, max_size=6))
def test_responses_are_the_same_with_nghttp2_and_h2(host: Server, requests: list[Request]) -> None:
    assert _responses(host, http2.new_session, requests, _whole) == _responses(host, H2Session, requests, _whole)
