"""grpc.server with a pool of ten threads, as in Google's tutorial and in gRPC's basics tutorials."""

from concurrent import futures

import grpc

from benchmarks.peers import threads


def main() -> None:
    """Serve on any free port, until killed."""
    threads.serve(grpc.server(futures.ThreadPoolExecutor(max_workers=threads.POOL_THREADS)))


if __name__ == "__main__":
    main()
