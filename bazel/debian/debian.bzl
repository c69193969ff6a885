"""debian_packages: files out of pinned Debian packages. debian_python: the interpreter for build, test and run, of the same."""

_MINIMUM_HOST_PYTHON = (3, 11)

# The environment variables that tools/apt/apt.sh and fetch.sh read.
_ENVIRON = ["DEBIAN_KEYRING", "DEBIAN_MIRROR", "DEBIAN_SNAPSHOT"]

# What fetch.sh exits with where apt knows no Debian mirror.
_NO_MIRROR = 69

_INTERPRETER = """\
#!/bin/sh
# The unpacked interpreter, run by the dynamic linker and the libraries that came with it: the host's are never used.
case $0 in
/*) self=$0 ;;
*/*) self=$PWD/$0 ;;
*) self=$(command -v "$0") ;;
esac
# The interpreter is told the name it was called by, since a virtual environment is found by that name.
usr=$(readlink -f "$self")
usr=${usr%/bin/python3}
PYTHONNOUSERSITE=1
export PYTHONNOUSERSITE
unset PYTHONHOME
exec "$usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --library-path "$usr/lib/x86_64-linux-gnu" \
  --argv0 "$self" "$usr/bin/%{python}" "$@"
"""

_HOST_INTERPRETER = """\
#!/bin/sh
# Stands in for Debian's interpreter: %{reason}.
exec %{python} "$@"
"""

_PROGRAM = """\
#!/bin/sh
# usr/bin/%{program} of the packages, run by the dynamic linker and the libraries that came with it.
usr=$(dirname "$(readlink -f "$0")")/root/usr
exec "$usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --library-path "$usr/lib/x86_64-linux-gnu" \
  --argv0 %{program} "$usr/bin/%{program}" "$@"
"""

_PROGRAM_BUILD = """
load("@rules_shell//shell:sh_binary.bzl", "sh_binary")
load(":compatible.bzl", "COMPATIBLE_WITH")

sh_binary(
    name = "{program}",
    srcs = ["{program}.sh"],
    data = glob(["root/usr/bin/{program}", "root/usr/lib/x86_64-linux-gnu/*.so*"], allow_empty = True),
    target_compatible_with = COMPATIBLE_WITH,
    visibility = ["//visibility:public"],
)
"""

_BUILD = """\
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")
load("@rules_python//python:defs.bzl", "py_runtime")

package(default_visibility = ["//visibility:public"])

exports_files(
    [
        "root/usr/bin/python3",
        "stale",
    ],
)

# The interpreter as a layer of an image; there is none where the host's stands in.
filegroup(
    name = "base",
    srcs = glob(["base.tar"], allow_empty = True),
    target_compatible_with = {base_compatible_with},
)

py_runtime(
    name = "python3",
    bootstrap_template = "{launcher}",
    files = glob(
        ["root/usr/bin/python3*", "root/usr/lib/python3*/**", "root/usr/lib/x86_64-linux-gnu/**"],
        allow_empty = True,
        exclude = ["**/* *"],
    ),
    interpreter = "root/usr/bin/python3",
    python_version = "PY3",
    stub_shebang = "#!/bin/sh",
)

py_runtime_pair(
    name = "pair",
    py3_runtime = ":python3",
)

toolchain(
    name = "toolchain",
    toolchain = ":pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

# What both rules have.
_ATTRS = {
    "lock": attr.label(
        mandatory = True,
        allow_single_file = True,
        doc = "A line `suite NAME`, a line `snapshot TIMESTAMP` (UTC, `YYYYMMDDTHHMMSSZ`), then a line " +
              "`name version sha256 path` for each package, whose path begins with `pool/`.",
    ),
    "_apt": attr.label(default = "//tools/apt:apt.sh", allow_single_file = True),
    "_fetch": attr.label(default = "//bazel/debian:fetch.sh", allow_single_file = True),
}

def _execute(rctx, command):
    done = rctx.execute(command)
    if done.return_code:
        fail("{} failed:\n{}{}".format(" ".join([str(word) for word in command]), done.stdout, done.stderr))

def _unpack(rctx):
    """Unpacks the locked packages in root/; returns why that cannot be done here, or None."""
    for program in ["apt-get", "dpkg-deb"]:
        if not rctx.which(program):
            return "there is no {} here".format(program)
    rctx.report_progress("fetching Debian packages")
    fetched = rctx.execute(
        [rctx.path(rctx.attr._fetch), rctx.path(rctx.attr._apt), rctx.path(rctx.attr.lock)],
    )
    if fetched.return_code == _NO_MIRROR:
        return "apt has no Debian mirror (set DEBIAN_MIRROR to the base URI of one)"
    if fetched.return_code:
        fail("Fetching the packages of {} failed:\n{}{}".format(rctx.attr.lock, fetched.stdout, fetched.stderr))
    if fetched.stdout:
        # buildifier: disable=print
        print(("\n{}: {}To pin the current versions, run ./bazelw run //third_party/debian:lock. To use the pinned ones, set " +
               "DEBIAN_SNAPSHOT to the base URI of a snapshot archive that has them.").format(rctx.attr.lock, fetched.stdout))
    return None

def _is_linux_on_amd64(rctx):
    return rctx.os.name.startswith("linux") and rctx.os.arch == "amd64"

def _compatible_with(reason):
    """Returns the target_compatible_with of what cannot be had, for a reason, or can."""
    return ["@platforms//:incompatible"] if reason else []

def _debian_packages_impl(rctx):
    if rctx.attr.programs and not _is_linux_on_amd64(rctx):
        reason = "the programs are for Linux on amd64"
    else:
        reason = _unpack(rctx)
    if not reason:
        for command in rctx.attr.patch_cmds:
            _execute(rctx, ["bash", "-euc", command])
    else:
        # buildifier: disable=print
        print("\nWhat needs @{} is skipped: {}.".format(rctx.name, reason))
    rctx.file("compatible.bzl", "COMPATIBLE_WITH = {}".format(_compatible_with(reason)))
    for program in rctx.attr.programs:
        rctx.file(program + ".sh", _PROGRAM.replace("%{program}", program))
    programs = [_PROGRAM_BUILD.format(program = program) for program in rctx.attr.programs]
    rctx.file("BUILD.bazel", "".join([rctx.attr.build_file_content] + programs))

debian_packages = repository_rule(
    implementation = _debian_packages_impl,
    doc = """Files out of pinned Debian packages, below root/.

Each package has the SHA-256 of the lock. It is downloaded from the mirror of the machine's apt (`DEBIAN_MIRROR` names another), or
else from a snapshot archive (`DEBIAN_SNAPSHOT`, by default https://snapshot.debian.org/archive/debian). If neither serves it, the
suite's current version is used, which apt verifies by Debian's keyring (`DEBIAN_KEYRING` names another): the rule prints a
warning, and the repository's file `stale` has a line `name version` for each pin that was not used.

On a machine without apt there are no files: `COMPATIBLE_WITH` in the repository's `compatible.bzl` makes targets, and all that
depend on them, be skipped.""",
    attrs = _ATTRS | {
        "build_file_content": attr.string(
            doc = "The BUILD file of the repository, to which the programs are added.",
        ),
        "patch_cmds": attr.string_list(
            doc = "Bash commands that change the files.",
        ),
        "programs": attr.string_list(
            doc = "Names in usr/bin: each becomes a target that can be run, on any Linux on amd64.",
        ),
    },
    environ = _ENVIRON,
)

def _use_debian(rctx):
    [python] = [f.basename for f in rctx.path("root/usr/lib").readdir() if f.basename.startswith("python3.")]
    rctx.file("root/usr/bin/python3", _INTERPRETER.replace("%{python}", python))
    _execute(rctx, [rctx.path(rctx.attr._ca_bundle), "root"])
    rctx.report_progress("compiling the standard library")
    _execute(rctx, [rctx.path(rctx.attr._compile), "root", python])
    _execute(rctx, [rctx.path(rctx.attr._image_base), "root", python, "base.tar"])

def _use_host(rctx, reason):
    rctx.file("stale")
    python = rctx.which("python3")
    is_new_enough = "import sys; sys.exit(sys.version_info < {})".format(_MINIMUM_HOST_PYTHON)
    if not python or rctx.execute([python, "-c", is_new_enough]).return_code:
        fail("Debian's interpreter cannot be used here: {}. A python3 of version {}.{} or newer is needed on PATH; found: {}".format(
            reason,
            _MINIMUM_HOST_PYTHON[0],
            _MINIMUM_HOST_PYTHON[1],
            python,
        ))

    # buildifier: disable=print
    print("\nUsing {} instead of Debian's interpreter: {}.".format(python, reason))
    rctx.file("root/usr/bin/python3", _HOST_INTERPRETER.replace("%{reason}", reason).replace("%{python}", str(python)))

def _debian_python_impl(rctx):
    if _is_linux_on_amd64(rctx):
        reason = _unpack(rctx)
    else:
        reason = "the packages are for Linux on amd64, this is {} on {}".format(rctx.os.name, rctx.os.arch)
    if reason:
        _use_host(rctx, reason)
    else:
        _use_debian(rctx)
    rctx.file("BUILD.bazel", _BUILD.format(
        base_compatible_with = _compatible_with(reason),
        launcher = rctx.attr._launcher,
    ))

debian_python = repository_rule(
    implementation = _debian_python_impl,
    doc = """A Python toolchain out of pinned Debian packages, the same on every Debian-like amd64 host.

The packages are downloaded and verified as those of `debian_packages` are. On other machines (no apt, another processor) the
host's python3 is used instead, and the rule prints a note.""",
    attrs = _ATTRS | {
        "_ca_bundle": attr.label(default = "//bazel/debian:ca_bundle.sh", allow_single_file = True),
        "_compile": attr.label(default = "//bazel/debian:compile_stdlib.sh", allow_single_file = True),
        "_image_base": attr.label(default = "//bazel/debian:image_base.sh", allow_single_file = True),
        "_launcher": attr.label(default = "//bazel/python:launcher.sh"),
    },
    environ = _ENVIRON,
)
