"""debian_packages: files from pinned Debian packages. debian_python: a Python toolchain from pinned Debian packages."""

_MINIMUM_HOST_PYTHON = (3, 11)

# The environment variables that tools/apt/apt.sh and fetch.sh read.
_ENVIRON = ["DEBIAN_KEYRING", "DEBIAN_MIRROR", "DEBIAN_SNAPSHOT"]

# The exit status of fetch.sh if apt has no Debian mirror.
_NO_MIRROR = 69

_INTERPRETER = """\
#!/bin/sh
# The unpacked interpreter, run by the dynamic linker and the libraries that came with it: the host's are never used.
case $0 in
/*) self=$0 ;;
*/*) self=$PWD/$0 ;;
*) self=$(command -v "$0") ;;
esac
# Pass the script's own path as argv[0]: Python finds its virtual environment by it.
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
# Runs the host's interpreter instead of Debian's: %{reason}.
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
load("@rules_python//python:py_runtime.bzl", "py_runtime")
load("@rules_python//python:py_runtime_pair.bzl", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

exports_files(
    [
        "root/usr/bin/python3",
        "stale",
    ],
)

# The interpreter as a layer of an image. It does not exist if the host's interpreter is used.
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
    toolchain_type = "@rules_python//python:toolchain_type",
)
"""

# The attributes of both rules.
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
    """Unpacks the locked packages into root/. Returns None, or the reason why this machine cannot do that."""
    for program in ["apt-get", "dpkg-deb"]:
        if not rctx.which(program):
            return "{} is not on PATH".format(program)
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
    """Returns a value for target_compatible_with: incompatible if there is a reason, else compatible."""
    return ["@platforms//:incompatible"] if reason else []

def _debian_packages_impl(rctx):
    if rctx.attr.programs and not _is_linux_on_amd64(rctx):
        reason = "the programs run only on Linux on amd64"
    else:
        reason = _unpack(rctx)
    if not reason:
        for command in rctx.attr.patch_cmds:
            _execute(rctx, ["bash", "-euc", command])
    else:
        # buildifier: disable=print
        print("\nTargets that need @{} are skipped: {}.".format(rctx.name, reason))
    rctx.file("compatible.bzl", "COMPATIBLE_WITH = {}".format(_compatible_with(reason)))
    for program in rctx.attr.programs:
        rctx.file(program + ".sh", _PROGRAM.replace("%{program}", program))
    programs = [_PROGRAM_BUILD.format(program = program) for program in rctx.attr.programs]
    rctx.file("BUILD.bazel", "".join([rctx.attr.build_file_content] + programs))

debian_packages = repository_rule(
    implementation = _debian_packages_impl,
    doc = """Provides the files of pinned Debian packages, below root/.

Each package must have the SHA-256 in the lock. The rule downloads it from the Debian mirror that the machine's apt uses
(override: `DEBIAN_MIRROR`), or else from a snapshot archive (`DEBIAN_SNAPSHOT`, by default
https://snapshot.debian.org/archive/debian). If neither serves the package, the rule uses the suite's current version,
which apt verifies with Debian's keyring (override: `DEBIAN_KEYRING`). It then prints a warning, and the repository's
file `stale` has a line `name version` for each pin that was not used.

On a machine without apt the repository has no files. Targets with `target_compatible_with = COMPATIBLE_WITH`, from the
repository's `compatible.bzl`, are then skipped, and so are all targets that depend on them.""",
    attrs = _ATTRS | {
        "build_file_content": attr.string(
            doc = "The BUILD file of the repository. The targets of `programs` are appended to it.",
        ),
        "patch_cmds": attr.string_list(
            doc = "Bash commands that change the unpacked files.",
        ),
        "programs": attr.string_list(
            doc = "Names of programs in usr/bin. Each becomes an executable target, for any Linux on amd64.",
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
        fail("Debian's interpreter cannot be used: {}. Install Python {}.{} or newer as python3 on PATH; found: {}".format(
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
        reason = "the packages are for Linux on amd64, but this machine is {} on {}".format(rctx.os.name, rctx.os.arch)
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
    doc = """Provides a Python toolchain from pinned Debian packages, which is the same on every Debian-like amd64 host.

The packages are downloaded and verified as by `debian_packages`. On other machines (without apt, or with another
processor) the rule uses the host's python3 instead, and prints a note.""",
    attrs = _ATTRS | {
        "_ca_bundle": attr.label(default = "//bazel/debian:ca_bundle.sh", allow_single_file = True),
        "_compile": attr.label(default = "//bazel/debian:compile_stdlib.sh", allow_single_file = True),
        "_image_base": attr.label(default = "//bazel/debian:image_base.sh", allow_single_file = True),
        "_launcher": attr.label(default = "//bazel/python:launcher.sh"),
    },
    environ = _ENVIRON,
)
