"""nggrpc.server with only the servicers, as in tutorial.py; with the argument "pool", all methods run in the pool."""

import sys
from concurrent import futures

import nggrpc
from benchmarks.peers import threads


def main() -> None:
    """Serve on any free port, until killed."""
    server = nggrpc.server(futures.ThreadPoolExecutor(max_workers=threads.POOL_THREADS))
    threads.serve(server, is_marked=sys.argv[1:] != ["pool"])


if __name__ == "__main__":
    main()
