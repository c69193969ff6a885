"""py_proto_library, py_grpc_library, ts_proto_library: stubs, with types, of a proto_library. And proto_descriptor_set.

They are made by rules_proto_grpc's plugin mechanism: for Python out of the locked grpcio-tools, whose version is the runtime's,
for TypeScript by protoc-gen-es, which is of one release with its runtime, too.
"""

load("@pypi//:requirements.bzl", "requirement")
load("@rules_proto//proto:defs.bzl", "ProtoInfo")
load("@rules_proto_grpc//:defs.bzl", "ProtoPluginInfo", "proto_compile_attrs", "proto_compile_impl", "proto_compile_toolchains")
load("@rules_python//python:defs.bzl", "py_library")
load("//bazel/ts:defs.bzl", "ts_library")

def _compile_rule(plugins, doc):
    # rules_proto_grpc's fixer and merger are Rust programs, for plugins that write folders. Ours write files, so neither
    # is ever run; naming a tool that says so keeps a Rust toolchain out of the build.
    unused = attr.label(
        cfg = "exec",
        default = "//bazel/proto:unused_tool",
        executable = True,
    )
    return rule(
        implementation = proto_compile_impl,
        doc = doc,
        attrs = proto_compile_attrs | {
            "_fixer": unused,
            "_merger": unused,
            "_plugins": attr.label_list(
                cfg = "exec",
                default = [Label("//tools/protoc:" + plugin) for plugin in plugins],
                providers = [ProtoPluginInfo],
            ),
        },
        toolchains = proto_compile_toolchains,
    )

_MESSAGES = ["python", "pyi"]

_py_proto_compile = _compile_rule(_MESSAGES, "Generates x_pb2.py and x_pb2.pyi for every x.proto.")

_py_grpc_compile = _compile_rule(
    _MESSAGES + ["grpc_python", "grpc_pyi"],
    "Generates x_pb2.py, x_pb2_grpc.py and their .pyi for every x.proto.",
)

_ts_proto_compile = _compile_rule(["es"], "Generates x_pb.js and x_pb.d.ts for every x.proto.")

def _stub_library(name, compile, library, protos, deps, **kwargs):
    generated = name + "_stubs"
    compile(
        name = generated,
        protos = protos,
        tags = kwargs.get("tags"),
        testonly = kwargs.get("testonly"),
        visibility = ["//visibility:private"],
    )
    library(
        name = name,
        srcs = [generated],
        imports = [generated],
        deps = deps,
        **kwargs
    )

def py_proto_library(name, protos, deps = [], **kwargs):
    """The messages of proto_library targets, as a py_library.

    A module is imported by its path below proto/: `calculator.v1.calculator_pb2` for proto/calculator/v1/calculator.proto.

    Args:
      name: name of the target.
      protos: proto_library targets. Only their own files are compiled, not what those import.
      deps: the stubs of what those import.
      **kwargs: visibility, tags and whatever else py_library takes.
    """
    _stub_library(name, _py_proto_compile, py_library, protos, [requirement("protobuf")] + deps, **kwargs)

def py_grpc_library(name, protos, deps = [], **kwargs):
    """The messages and services of proto_library targets, as a py_library.

    Beside `calculator_pb2` there is `calculator_pb2_grpc`, with the stub and the servicer of each service.

    Args:
      name: name of the target.
      protos: proto_library targets. Only their own files are compiled, not what those import.
      deps: the stubs of what those import.
      **kwargs: visibility, tags and whatever else py_library takes.
    """
    _stub_library(name, _py_grpc_compile, py_library, protos, [requirement("grpcio"), requirement("protobuf")] + deps, **kwargs)

def ts_proto_library(name, protos, deps = [], **kwargs):
    """The messages and services of proto_library targets, as a ts_library.

    A module is imported by its path below proto/: `@proto/calculator/v1/calculator_pb.js` for
    proto/calculator/v1/calculator.proto.

    Args:
      name: name of the target.
      protos: proto_library targets. Only their own files are compiled, not what those import.
      deps: the stubs of what those import, but for google/protobuf/.
      **kwargs: visibility, tags and whatever else ts_library takes.
    """
    _stub_library(name, _ts_proto_compile, ts_library, protos, deps, **kwargs)

def _proto_descriptor_set_impl(ctx):
    sets = depset(
        order = "postorder",
        transitive = [dep[ProtoInfo].transitive_descriptor_sets for dep in ctx.attr.deps],
    )
    output = ctx.actions.declare_file(ctx.label.name + ".pb")

    # Messages that follow each other are one message, in which the lists of all are one list.
    ctx.actions.run_shell(
        arguments = [ctx.actions.args().add(output).add_all(sets)],
        command = 'output=$1 && shift && cat "$@" >"$output"',
        inputs = sets,
        outputs = [output],
    )
    return [DefaultInfo(files = depset([output]))]

proto_descriptor_set = rule(
    implementation = _proto_descriptor_set_impl,
    doc = """The contracts of proto_library targets in one FileDescriptorSet, NAME.pb: each after what it imports.

rules_proto's rule of this name compiles a C++ program to do it.""",
    attrs = {
        "deps": attr.label_list(
            mandatory = True,
            providers = [ProtoInfo],
        ),
    },
)
