"""protoc-gen-mypy_grpc: the plugin of mypy-protobuf that generates types for the gRPC part of the stubs."""

from mypy_protobuf.main import grpc

if __name__ == "__main__":
    grpc()
