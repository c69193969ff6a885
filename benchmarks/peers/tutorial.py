"""The server of Google's tutorial and of gRPC's basics: grpc.server, with a pool of ten threads."""

import sys
from concurrent import futures

import grpc
from calculator.v1 import calculator_pb2_grpc
from routeguide import route_guide_pb2_grpc

from server.calculator import CalculatorServicer
from server.route_guide import RouteGuideServicer


def main() -> None:
    """Serve on any free port, until killed."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    calculator_pb2_grpc.add_CalculatorServicer_to_server(CalculatorServicer(), server)
    route_guide_pb2_grpc.add_RouteGuideServicer_to_server(RouteGuideServicer(), server)
    port = server.add_insecure_port("[::]:0")
    server.start()
    print(f"Listening on [::]:{port}", file=sys.stderr, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
