"""What crosses packages: the programs as real processes, on real sockets."""
