"""protoc-gen-mypy_grpc: mypy-protobuf's plugin, which types the gRPC half of the stubs."""

from mypy_protobuf.main import grpc

if __name__ == "__main__":
    grpc()
