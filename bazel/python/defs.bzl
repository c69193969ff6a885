"""py_test and py_tests: tests by pytest. py_library and py_binary are rules_python's own."""

load("@pypi//:requirements.bzl", "requirement")
load("@rules_python//python:defs.bzl", _py_test = "py_test")

def py_test(name, srcs = None, deps = [], data = [], args = [], size = "small", **kwargs):
    """Runs test modules with pytest.

    `--test_filter` (pytest's -k) and the XML report work as Bazel's documentation has it. A module without a test fails.

    Args:
      name: name of the target.
      srcs: the test modules, by default NAME.py; a conftest.py may be among them.
      deps: py_library targets.
      data: files that the tests read, programs that they run.
      args: arguments for pytest, after the modules.
      size: size of the test.
      **kwargs: everything else that rules_python's py_test takes.
    """
    srcs = srcs or [name + ".py"]
    _py_test(
        name = name,
        size = size,
        srcs = srcs + ["//bazel/python:pytest_main.py"],
        main = "//bazel/python:pytest_main.py",
        args = ["$(rootpath {})".format(src) for src in srcs if not src.endswith("conftest.py")] + args,
        data = data + ["//:pyproject.toml"],
        deps = deps + [
            requirement("pytest"),
            requirement("pytest-bazel"),
        ],
        **kwargs
    )

def py_tests(deps = [], size = "small", exclude = [], **kwargs):
    """Declares a py_test for each *_test.py of the package, so that no test is forgotten.

    Args:
      deps: py_library targets that the tests of the package need.
      size: size of each test.
      exclude: modules that are tests with attributes of their own.
      **kwargs: everything else that py_test takes.
    """
    for src in native.glob(["*_test.py"], exclude = exclude):
        py_test(
            name = src.removesuffix(".py"),
            size = size,
            deps = deps,
            **kwargs
        )
