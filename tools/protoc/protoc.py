"""protoc: a command-line program that runs the compiler in grpcio-tools."""

import sys

from grpc_tools import protoc

if __name__ == "__main__":
    sys.exit(protoc.main(sys.argv))
