"""protoc: the compiler inside grpcio-tools, on the command line."""

import sys

from grpc_tools import protoc

if __name__ == "__main__":
    sys.exit(protoc.main(sys.argv))
