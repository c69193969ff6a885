"""py_test and py_tests: tests with pytest. py_package: a library with its tests. py_binary is rules_python's."""

load("@pypi//:requirements.bzl", "requirement")
load("@rules_python//python:defs.bzl", "py_library", _py_test = "py_test")
load("//bazel:sources.bzl", "sources")

def py_test(name, srcs = None, deps = [], data = [], programs = {}, args = [], env = {}, size = "small", **kwargs):
    """Runs test modules with pytest.

    `--test_filter` (pytest's -k) and the XML report work as documented by Bazel. A module without a test fails.
    The conftest.py of the package, if it exists, is added to each test.

    Args:
      name: name of the target.
      srcs: the test modules, by default NAME.py, and other modules that they import.
      deps: py_library targets.
      data: files that the tests read and programs that they run.
      programs: a dict from the label of a file to the environment variable that is set to its path.
      args: arguments for pytest, after the modules.
      env: other environment variables.
      size: size of the test.
      **kwargs: other attributes of rules_python's py_test.
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
      exclude: test modules for which the package declares its own targets.
      suffix: appended to the module's name to form the target's name.
      **kwargs: other attributes of py_test.
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
    """Declares the usual targets of a package: a library of all modules, a test for each *_test.py, and `sources`.

    Args:
      name: name of the py_library.
      data: files that the library reads.
      deps: py_library targets that the library needs.
      test_deps: py_library targets that the tests need in addition to the library.
      test_tags: tags of the tests.
      **kwargs: other attributes of py_library.
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
