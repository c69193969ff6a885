"""grpc.server with a pool of ten threads, as in Google's tutorial and in gRPC's basics tutorials."""

from concurrent import futures

import grpc

from benchmarks.peers import sync_servicers


def main() -> None:
    """Serve on any free port, until killed."""
    sync_servicers.serve(grpc.server(futures.ThreadPoolExecutor(max_workers=sync_servicers.POOL_THREADS)))


if __name__ == "__main__":
    main()
