"""A gRPC server for Python on libnghttp2: `nggrpc.server` replaces `grpc.server`."""

from nggrpc.grpc_server import server
from nggrpc.methods import behavior, is_never_blocking, never_blocks, once_per_method

__all__ = ["behavior", "is_never_blocking", "never_blocks", "once_per_method", "server"]
