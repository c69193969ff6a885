"""pip_helpers: the packages that pip_parse uses to run pip, from our lock instead of rules_python's own pins.

The versions that rules_python 0.22 pins do not run on Python 3.12 or newer.
"""

load("@rules_python//python/pip_install:repositories.bzl", "all_requirements")
load("@rules_python//python/pip_install:requirements_parser.bzl", "parse")

# The helpers that are needed to install a locked wheel. The others are for locking with pip-tools, which we do not use.
_NEEDED = ["installer", "pip", "setuptools", "wheel"]

def _pip_helper_impl(rctx):
    rctx.file("BUILD.bazel")
    if not rctx.attr.package:
        return
    [requirement] = [
        line
        for name, line in parse(rctx.read(rctx.attr.lock)).requirements
        if name == rctx.attr.package
    ]
    rctx.file("requirement.txt", requirement)
    python = rctx.path(rctx.attr.interpreter)

    # Debian ships pip as a wheel, which can be run without installing it. Other interpreters have pip installed.
    wheels = python.dirname.dirname.get_child("share/python-wheels")
    pip = [str(f) for f in wheels.readdir() if f.basename.startswith("pip-")] if wheels.exists else []
    downloaded = rctx.execute(
        [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"] +
        ["--dest=wheel", "--requirement=requirement.txt"],
        environment = {"PYTHONPATH": ":".join(pip)},
    )
    if downloaded.return_code:
        fail("pip could not download {}:\n{}{}".format(requirement, downloaded.stdout, downloaded.stderr))
    [wheel] = rctx.path("wheel").readdir()
    rctx.symlink(wheel, "wheel.zip")  # extract() needs the suffix
    rctx.extract("wheel.zip")
    rctx.delete("wheel.zip")
    rctx.delete("wheel")

    # Compile pip now: it runs once for each package and does not write bytecode, so it would compile itself each time.
    compiled = rctx.execute([python, "-m", "compileall", "-q", "."])
    if compiled.return_code:
        fail("{} could not be compiled:\n{}{}".format(requirement, compiled.stdout, compiled.stderr))

_pip_helper = repository_rule(
    implementation = _pip_helper_impl,
    doc = "Unpacks a wheel, as rules_python expects its helpers. Without a package, makes an empty repository.",
    attrs = {
        "interpreter": attr.label(doc = "The Python that runs pip.", mandatory = True),
        "lock": attr.label(doc = "Requirements with hashes.", mandatory = True),
        "package": attr.string(doc = "The name of a package in the lock, or an empty string."),
    },
)

def pip_helpers(interpreter, lock):
    """Declares the repositories pypi__*. Call this before pip_parse, which would declare them otherwise.

    Args:
      interpreter: label of the Python that runs pip.
      lock: label of the requirements, with hashes, that pin pip, installer, setuptools and wheel.
    """
    for repository in all_requirements:
        package = repository.removeprefix("pypi__")
        _pip_helper(
            name = repository,
            interpreter = interpreter,
            lock = lock,
            package = package if package in _NEEDED else "",
        )
