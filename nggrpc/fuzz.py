"""bazel run //nggrpc:fuzz: raw bytes for a connection, made by libFuzzer, which knows the code that they reach.

The options are libFuzzer's: `-- -max_total_time=3600` fuzzes for an hour. A folder keeps inputs that reach new code.
A finding is an exception, a log line of an error, or a call that still counts after its connection was lost.
"""

import itertools
import logging
import sys
from collections.abc import Iterator
from concurrent import futures

import atheris  # type: ignore[import-untyped]
import grpc

with atheris.instrument_imports(include=["nggrpc"]):
    import nggrpc
    from nggrpc import http2
    from nggrpc.connection import Connection
    from nggrpc.grpc_server import Server
    from nggrpc.testing.memory_client import MemoryClient, Request, drain, prefixed

_STREAMS = 8
_TYPES = 10  # DATA to CONTINUATION: RFC 9113, section 6
_MAX_MESSAGE_BYTES = 1000


@nggrpc.never_blocks
def _echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return request


@nggrpc.never_blocks
def _answer(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    yield from requests


class _Raise(logging.Handler):
    """Makes a finding of each error that is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise what was logged, past all handlers of exceptions."""
        if record.levelno >= logging.ERROR:
            raise KeyboardInterrupt(self.format(record))


def _host() -> Server:
    host = nggrpc.server(
        futures.ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
    )
    assert isinstance(host, Server)  # noqa: S101 - for the type checker
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Echo": grpc.unary_unary_rpc_method_handler(_echo),
        "Answer": grpc.stream_stream_rpc_method_handler(_answer),
    }
    host.add_registered_method_handlers("Test", handlers)
    return host


_HOST = _host()


def _header_blocks() -> list[bytes]:
    """Return the header blocks of some calls: random bytes hardly ever are valid HPACK."""
    blocks = []
    for path, extra in itertools.product(("/Test/Echo", "/Test/Answer"), ((), (("grpc-encoding", "gzip"),))):
        client = MemoryClient()
        client.h2.data_to_send()
        client.begin(Request(path, extra=extra, ends=False))
        blocks.append(client.h2.data_to_send()[9:])
    return blocks


_BLOCKS = _header_blocks()


def _input(provider: atheris.FuzzedDataProvider) -> Iterator[bytes]:
    """Yield the preface, and then frames: of calls, of random payloads, and bytes that are not a frame."""
    client = MemoryClient()
    yield client.h2.data_to_send()
    while provider.remaining_bytes():
        stream = 2 * provider.ConsumeIntInRange(0, _STREAMS) + 1
        kind = provider.ConsumeIntInRange(0, 3)
        if kind == 0:
            block = _BLOCKS[provider.ConsumeIntInRange(0, len(_BLOCKS) - 1)]
            yield _frame(1, 4 | provider.ConsumeIntInRange(0, 1), stream, block)
        elif kind == 1:
            message = prefixed(provider.ConsumeBytes(20), provider.ConsumeIntInRange(0, 2))
            yield _frame(0, provider.ConsumeIntInRange(0, 1), stream, message)
        elif kind == 2:  # noqa: PLR2004
            payload = provider.ConsumeBytes(provider.ConsumeIntInRange(0, 40))
            number = provider.ConsumeIntInRange(0, 1) * stream
            yield _frame(provider.ConsumeIntInRange(0, _TYPES), provider.ConsumeIntInRange(0, 255), number, payload)
        else:
            yield provider.ConsumeBytes(provider.ConsumeIntInRange(0, 40))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def try_input(data: bytes) -> None:
    """Feed an input to a new connection, and lose it.

    Raises:
        RuntimeError: a call or bytes of a message still count afterwards.
    """
    options = _HOST.options
    session = http2.new_session(options.max_streams, options.max_metadata_bytes)
    connection = Connection(_HOST, session, "test:", lambda: None)
    try:
        for part in _input(atheris.FuzzedDataProvider(data)):
            connection.receive(part)
            drain(connection)
            if connection.lifecycle.is_done or connection.lifecycle.is_forced:
                break
    except http2.ProtocolError:  # as a transport does, close it
        pass
    connection.lose()
    if _HOST._calls or _HOST.held_bytes:  # noqa: SLF001 - nobody else needs to know it
        raise RuntimeError(f"{_HOST._calls} calls and {_HOST.held_bytes} bytes still count")  # noqa: SLF001


def main() -> None:
    """Fuzz until libFuzzer ends."""
    logging.getLogger("nggrpc").addHandler(_Raise())
    atheris.Setup(sys.argv, try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
