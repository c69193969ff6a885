"""The process: its sockets, its CPUs, its workers, its imports."""
