"""nggrpc.server with only the servicers, like tutorial_server.py; the argument "pool" runs all methods in the pool."""

import sys
from concurrent import futures

import nggrpc
from benchmarks.peers import sync_servicers


def main() -> None:
    """Serve on any free port, until killed."""
    server = nggrpc.server(futures.ThreadPoolExecutor(max_workers=sync_servicers.POOL_THREADS))
    sync_servicers.serve(server, is_marked=sys.argv[1:] != ["pool"])


if __name__ == "__main__":
    main()
