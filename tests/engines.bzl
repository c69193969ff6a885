"""engines_test: a py_test of the server, on each of its engines."""

load("//bazel/python:defs.bzl", "py_test")

def engines_test(name, srcs = None, env = {}, **kwargs):
    """Tests //server as it is started by testing.programs, once on nggrpc and once on grpcio's own server.

    Args:
      name: name of the target for nggrpc; with `_stock`, for grpcio's own server.
      srcs: the test modules, by default NAME.py.
      env: the environment of both.
      **kwargs: everything else that py_test takes.
    """
    for suffix, engine in {"": "nggrpc", "_stock": "stock"}.items():
        py_test(
            name = name + suffix,
            srcs = srcs or [name + ".py"],
            env = env | {"SERVER_FLAGS": "--engine=" + engine},
            **kwargs
        )
