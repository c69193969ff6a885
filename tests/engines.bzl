"""Rules to test a package with each engine of the server."""

load("//bazel/python:defs.bzl", "py_tests")

def engines_tests(**kwargs):
    """Declares each *_test.py of the package once for nggrpc and once, as NAME_stock, for grpcio's own server.

    Args:
      **kwargs: arguments of py_tests. The tests start //server with `testing.programs`.
    """
    for suffix, engine in {"": "nggrpc", "_stock": "stock"}.items():
        py_tests(
            suffix = suffix,
            env = {"SERVER_FLAGS": "--engine=" + engine},
            **kwargs
        )
