"""py_test and py_tests: tests by pytest; py_package: a library with its tests. py_binary is rules_python's own."""

load("@pypi//:requirements.bzl", "requirement")
load("@rules_python//python:defs.bzl", "py_library", _py_test = "py_test")
load("//bazel:sources.bzl", "sources")

def py_test(name, srcs = None, deps = [], data = [], programs = {}, args = [], env = {}, size = "small", **kwargs):
    """Runs test modules with pytest.

    `--test_filter` (pytest's -k) and the XML report work as Bazel's documentation has it. A module without a test fails.
    The conftest.py of the package, if there is one, is added to each test.

    Args:
      name: name of the target.
      srcs: the test modules, by default NAME.py, and modules that they import.
      deps: py_library targets.
      data: files that the tests read, programs that they run.
      programs: label of a file to the environment variable that tells the tests its path.
      args: arguments for pytest, after the modules.
      env: other environment variables.
      size: size of the test.
      **kwargs: everything else that rules_python's py_test takes.
    """
    srcs = srcs or [name + ".py"]
    _py_test(
        name = name,
        size = size,
        srcs = srcs + native.glob(["conftest.py"], allow_empty = True) + ["//bazel/python:pytest_main.py"],
        main = "//bazel/python:pytest_main.py",
        args = ["$(rootpath {})".format(src) for src in srcs if src.endswith("_test.py")] + args,
        data = data + programs.keys() + ["//:pyproject.toml"],
        env = env | {variable: "$(rootpath {})".format(label) for label, variable in programs.items()},
        deps = deps + [
            requirement("hypothesis"),
            requirement("pytest"),
            requirement("pytest-bazel"),
        ],
        **kwargs
    )

def py_tests(deps = [], size = "small", exclude = [], suffix = "", **kwargs):
    """Declares a py_test for each *_test.py of the package, so that no test is forgotten.

    Args:
      deps: py_library targets that the tests of the package need.
      size: size of each test.
      exclude: modules that are tests with attributes of their own.
      suffix: what the name of each target has after that of its module.
      **kwargs: everything else that py_test takes.
    """
    for src in native.glob(["*_test.py"], exclude = exclude, allow_empty = True):
        py_test(
            name = src.removesuffix(".py") + suffix,
            size = size,
            srcs = [src],
            deps = deps,
            **kwargs
        )

def py_package(name, data = [], deps = [], test_deps = [], test_tags = [], **kwargs):
    """Declares what most packages consist of: a library of all modules, a test for each *_test.py, and `sources`.

    Args:
      name: name of the py_library.
      data: files that the library reads.
      deps: py_library targets that the library needs.
      test_deps: py_library targets that the tests need in addition to the library.
      test_tags: tags of the tests.
      **kwargs: everything else that py_library takes.
    """
    py_library(
        name = name,
        srcs = native.glob(
            ["*.py"],
            exclude = ["*_test.py"],
        ),
        data = data,
        deps = deps,
        **kwargs
    )
    py_tests(
        deps = [":" + name] + test_deps,
        tags = test_tags,
    )
    sources(name = "sources")
