"""The server under test, with the same flags, which also serves the official TestService."""

import sys

import grpc
from interop import test_pb2_grpc

from server import main
from tests.interop.servicer import TestServicer


def _add_test_service(server: grpc.Server) -> None:
    servicer = TestServicer()  # type: ignore[abstract] # UnimplementedCall is inherited from the generated base class
    test_pb2_grpc.add_TestServiceServicer_to_server(servicer, server)


if __name__ == "__main__":
    sys.exit(main.main(_add_test_service))
