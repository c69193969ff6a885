"""engines_test: a py_test of the server, on each of its engines."""

load("//bazel/python:defs.bzl", "py_test")

def engines_test(name, env = {}, **kwargs):
    """Tests //server as it is started by tests.programs, once on each engine.

    Args:
      name: name of the target for grpc's own engine; with `_fast`, for ours.
      env: the environment of both.
      **kwargs: everything else that py_test takes.
    """
    py_test(
        name = name,
        env = env,
        **kwargs
    )
    py_test(
        name = name + "_fast",
        env = env | {"SERVER_FLAGS": "--engine=fast"},
        **kwargs
    )
