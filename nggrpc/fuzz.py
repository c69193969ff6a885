"""A coverage-guided fuzzer (libFuzzer) that sends raw bytes to a connection: bazel run //nggrpc:fuzz.

Options are passed to libFuzzer: `-- -max_total_time=3600` fuzzes for an hour. If a folder is given as an argument,
libFuzzer keeps the inputs there that reach new code. A finding is an exception, an error in the log, or a call that is
still counted after its connection is lost.
"""

import itertools
import logging
import os
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


class _RaisingHandler(logging.Handler):
    """A log handler that turns each logged error into a finding."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise a KeyboardInterrupt, which `except Exception` does not catch."""
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
    """Return the header blocks of some calls, since random bytes are hardly ever valid HPACK."""
    blocks = []
    for path, extra in itertools.product(("/Test/Echo", "/Test/Answer"), ((), (("grpc-encoding", "gzip"),))):
        client = MemoryClient()
        client.h2.data_to_send()
        client.begin(Request(path, extra=extra, ends=False))
        blocks.append(client.h2.data_to_send()[9:])
    return blocks


_HEADER_BLOCKS = _header_blocks()


def _input(provider: atheris.FuzzedDataProvider) -> Iterator[bytes]:
    """Yield the client preface, and then a mix of frames of calls, frames with random payloads, and random bytes."""
    client = MemoryClient()
    yield client.h2.data_to_send()
    while provider.remaining_bytes():
        stream = 2 * provider.ConsumeIntInRange(0, _STREAMS) + 1
        kind = provider.ConsumeIntInRange(0, 3)
        if kind == 0:
            block = _HEADER_BLOCKS[provider.ConsumeIntInRange(0, len(_HEADER_BLOCKS) - 1)]
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
    """Feed an input to a new connection, and lose the connection.

    Raises:
        RuntimeError: a call or the memory of a message is still counted afterwards.
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
    except http2.ProtocolError:  # close the connection, as a transport does
        pass
    connection.lose()
    if _HOST._calls or _HOST.held_bytes:  # noqa: SLF001 - no public attribute has the number
        raise RuntimeError(f"{_HOST._calls} calls and {_HOST.held_bytes} bytes are still counted")  # noqa: SLF001


def main() -> None:
    """Run libFuzzer with the command-line arguments."""
    os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY", "."))  # `bazel run` sets it; folders are relative to it
    logging.getLogger("nggrpc").addHandler(_RaisingHandler())
    atheris.Setup(sys.argv, try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
