"""The server of Google's tutorial and of gRPC's basics: grpc.server, with a pool of ten threads."""

from concurrent import futures

import grpc

from benchmarks.peers import threads


def main() -> None:
    """Serve on any free port, until killed."""
    threads.serve(grpc.server(futures.ThreadPoolExecutor(max_workers=threads.POOL_THREADS)))


if __name__ == "__main__":
    main()
