"""Operating-system concerns of the process: sockets, CPUs, workers, imports, proxies."""
