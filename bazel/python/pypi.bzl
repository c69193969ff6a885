"""pip_installer, pypi_lock, pypi_package: the packages in a requirements file with hashes, one repository for each.

They replace pip_parse, whose versions each work with only some versions of Bazel, Python and rules_python: the helpers
of rules_python 0.22 do not run on Python 3.12, and newer ones name the repositories differently under bzlmod.
"""

# The packages that install all others.
_INSTALLER = ["installer", "packaging", "pip", "setuptools"]

def repository_name(package):
    """Returns the name of the repository of a package, which is spelled as in PyPI: pypi_NAME."""
    return "pypi_" + package.lower().replace("-", "_").replace(".", "_")

def parse_lock(text):
    """Parses a requirements file with hashes, as `uv pip compile --generate-hashes` writes it.

    Args:
      text: the content of the file.

    Returns:
      A dict from the name of each package to its requirement: version, environment marker and hashes.
    """
    lines = text.replace("\\\n", " ").split("\n")
    requirements = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    for requirement in requirements:
        if "==" not in requirement or "--hash=" not in requirement:
            fail("{}: this is not a pinned version with hashes: run //third_party/python:lock".format(requirement))
    return {requirement.partition("==")[0].strip(): requirement for requirement in requirements}

# Settings of pip that would make it install something else, or elsewhere. pip ignores empty variables.
_NO_SETTINGS = {"PIP_" + name: "" for name in ["DRY_RUN", "PREFIX", "REQUIREMENT", "ROOT", "TARGET", "USER", "WHEEL_DIR"]}

def _run(rctx, arguments, python_path, message):
    """Runs the Python of `interpreter`, and returns what it prints."""
    python = rctx.path(rctx.attr.interpreter)
    done = rctx.execute([python] + arguments, environment = _NO_SETTINGS | {"PYTHONPATH": str(python_path)})
    if done.return_code:
        fail("{}:\n{}{}".format(message, done.stdout, done.stderr))
    return done.stdout

_INTERPRETER = attr.label(
    doc = "The Python that runs pip, and for which the packages are.",
    mandatory = True,
)

_LOCK = attr.label(
    allow_single_file = True,
    doc = "Requirements with hashes.",
    mandatory = True,
)

def _pip_installer_impl(rctx):
    locked = parse_lock(rctx.read(rctx.attr.lock))
    rctx.file("requirements.txt", "\n".join([locked[package] for package in _INSTALLER]))

    # Debian ships pip as a wheel, which can be run without installing it. Other interpreters have pip installed.
    wheels = rctx.path(rctx.attr.interpreter).dirname.dirname.get_child("share/python-wheels")
    pip = [str(f) for f in wheels.readdir() if f.basename.startswith("pip-")] if wheels.exists else []
    _run(
        rctx,
        ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--target=packages"] +
        ["--disable-pip-version-check", "--requirement=requirements.txt"],
        ":".join(pip),
        "pip could not install {}".format(", ".join(_INSTALLER)),
    )
    rctx.file("BUILD.bazel")

pip_installer = repository_rule(
    implementation = _pip_installer_impl,
    doc = "Provides pip in the locked version, and the packages that pypi_package needs, in the folder packages/.",
    attrs = {
        "interpreter": _INTERPRETER,
        "lock": _LOCK,
    },
)

_LOCK_BZL = """\
\"\"\"The packages of {lock}.\"\"\"

PACKAGES = {packages}

_REPOSITORIES = {repositories}

def _target(package, name):
    if package not in _REPOSITORIES:
        fail("{{}} is not in {lock}: add it to requirements.in, and run //third_party/python:lock".format(package))
    return Label("@" + _REPOSITORIES[package] + "//:" + name)

def requirement(package):
    \"\"\"Returns the label of a package, as a py_library.\"\"\"
    return _target(package, "pkg")

def whl_requirement(package):
    \"\"\"Returns the label of the wheel of a package.\"\"\"
    return _target(package, "whl")

all_requirements = [requirement(package) for package in PACKAGES]
"""

def _pypi_lock_impl(rctx):
    packages = parse_lock(rctx.read(rctx.attr.lock))
    rctx.file("BUILD.bazel")
    rctx.file("requirements.bzl", _LOCK_BZL.format(
        lock = rctx.attr.lock.package + "/" + rctx.attr.lock.name,
        packages = json.encode_indent(packages),
        repositories = json.encode_indent({package: repository_name(package) for package in packages}),
    ))

pypi_lock = repository_rule(
    implementation = _pypi_lock_impl,
    doc = "Provides requirements.bzl, with `requirement`, `whl_requirement` and `PACKAGES`, for a requirements file.",
    attrs = {"lock": _LOCK},
)

_BUILD = """\
load("@rules_python//python:defs.bzl", "py_library")
{loads}
package(default_visibility = ["//visibility:public"])

exports_files(glob(["bin/*"], allow_empty = True) + {exports})

filegroup(
    name = "whl",
    srcs = glob(["*.whl"], allow_empty = True),
    data = {wheels},
)

py_library(
    name = "pkg",
    srcs = glob(["site-packages/**/*.py"], allow_empty = True),
    data = glob(
        ["site-packages/**"],
        allow_empty = True,
        # RECORD has the hashes of generated files, which may differ.
        exclude = ["**/* *", "**/*.py", "**/*.pyc", "**/*.dist-info/RECORD"],
    ),
    imports = ["site-packages"],
    deps = {libraries},
)
{content}"""

def _pypi_package_impl(rctx):
    rctx.file("requirements.txt", rctx.attr.requirement)
    rctx.report_progress("fetching a Python package")
    dependencies = json.decode(_run(
        rctx,
        [rctx.path(rctx.attr._install), "requirements.txt"],
        rctx.path(rctx.attr.installer).dirname.get_child("packages"),
        "pip could not install {}".format(rctx.attr.requirement.partition(" ")[0]),
    ))
    for file in rctx.attr.programs:
        rctx.execute(["chmod", "+x", file])
    repositories = [repository_name(name) for name in dependencies]
    rctx.file("BUILD.bazel", _BUILD.format(
        content = rctx.attr.build_file_content,
        exports = rctx.attr.exports + rctx.attr.programs,
        libraries = ["@{}//:pkg".format(name) for name in repositories],
        loads = rctx.attr.build_file_loads,
        wheels = ["@{}//:whl".format(name) for name in repositories],
    ))

pypi_package = repository_rule(
    implementation = _pypi_package_impl,
    doc = """Provides one package: the py_library `pkg`, the wheel `whl`, and the programs in bin/.

The package comes from the index that the machine's pip is configured with. A package that is not for this platform has
empty targets.""",
    attrs = {
        "build_file_content": attr.string(doc = "Appended to the BUILD file of the repository."),
        "build_file_loads": attr.string(doc = "The load statements of `build_file_content`."),
        "exports": attr.string_list(doc = "Files below site-packages/ that become targets."),
        "installer": attr.label(
            doc = "The BUILD file of a pip_installer.",
            mandatory = True,
        ),
        "interpreter": _INTERPRETER,
        "programs": attr.string_list(doc = "Programs below site-packages/ that become executable targets."),
        "requirement": attr.string(
            doc = "A line of the requirements file.",
            mandatory = True,
        ),
        "_install": attr.label(
            allow_single_file = True,
            default = "//bazel/python:install_wheel.py",
        ),
    },
)
