"""A server on pygrpc-native, which is in Rust: with its grpc.server, or its low-level API for the argument "events"."""

import sys
from concurrent import futures

import pygrpc_native
from calculator.v1 import calculator_pb2 as pb

from benchmarks.peers import sync_servicers
from server.services.calculator_v1 import CalculatorServicer

_BATCH = 64


def _serve_events() -> None:
    """Answer each event of the low-level API in the main thread."""
    methods = (("/calculator.v1.Calculator/Calculate", False), (f"/{sync_servicers.ECHO_SERVICE}/Echo", False))
    front = pygrpc_native.NativeGrpcFront("127.0.0.1:0", methods)
    front.start()
    print(f"Listening on 127.0.0.1:{front.bound_port}", file=sys.stderr, flush=True)
    calculator = CalculatorServicer()
    while (events := front.recv_batch(_BATCH)) is not None:
        for kind, call_id, method, request, _client in events:
            if kind != pygrpc_native.EVENT_CALL or request is None:
                continue
            if method == 0:
                response = calculator.Calculate(pb.CalculateRequest.FromString(request), None)  # type: ignore[arg-type]
                front.respond(call_id, response.SerializeToString())
            else:
                front.respond(call_id, request)


def main() -> None:
    """Serve on any free port, until killed."""
    if sys.argv[1:] == ["events"]:
        _serve_events()
    else:
        sync_servicers.serve(pygrpc_native.server(futures.ThreadPoolExecutor(max_workers=sync_servicers.POOL_THREADS)))


if __name__ == "__main__":
    main()
