"""oci_image, oci_load, oci_push, oci_sbom and py_image_layers: container images without a container engine, the same to the byte for the same sources.

Attributes are called as in rules_oci where it has them; `stale`, `referrers`, oci_sbom and py_image_layers are ours.
"""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("@rules_python//python:defs.bzl", "PyInfo", "py_binary")
load("//bazel:runfiles.bzl", "runfiles_path")

# What a wheel carries and a server never reads.
_UNNEEDED_SUFFIXES = (".pyi", ".pyx", ".pxd", ".pxi", ".h", ".c", ".cc", ".proto", "/py.typed", "/RECORD", "/INSTALLER", "/WHEEL")

_PYTHON = "@bazel_tools//tools/python:toolchain_type"

def _import_path(path, roots):
    """Returns the path by which Python finds a file: below the longest of the roots that it is in."""
    root = ""
    for candidate in roots:
        if path.startswith(candidate + "/") and len(candidate) > len(root):
            root = candidate
    return path[len(root):].lstrip("/") if root else path.partition("/")[2]

def _layer(ctx, name, entries):
    tar = ctx.actions.declare_file("{}_{}.tar".format(ctx.label.name, name))
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add(tar)
    for destination, file in entries:
        arguments.add(destination)
        arguments.add(file)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._layer,
        inputs = [file for _, file in entries],
        mnemonic = "OciLayer",
        outputs = [tar],
        progress_message = "Writing %{output}",
    )
    return tar

def _py_image_layers_impl(ctx):
    binary = ctx.attr.binary
    roots = binary[PyInfo].imports.to_list()
    interpreter = {file: True for file in ctx.toolchains[_PYTHON].py3_runtime.files.to_list()}
    wheels, app = [], []
    for file in binary[PyInfo].transitive_sources.to_list() + binary[DefaultInfo].default_runfiles.files.to_list():
        path = runfiles_path(ctx.workspace_name, file)
        if path.startswith(ctx.workspace_name + "/"):
            if file != binary[DefaultInfo].files_to_run.executable:
                app.append(("app/" + _import_path(path, roots), file))
        elif "/site-packages/" in path:
            if not path.endswith(_UNNEEDED_SUFFIXES):
                wheels.append(("app/site-packages/" + _import_path(path, roots), file))
        elif file not in interpreter:
            fail("{} is neither of this repository nor of a wheel: it has no place in a layer".format(path))
    layers = [_layer(ctx, "wheels", wheels), _layer(ctx, "app", app)]
    return [DefaultInfo(files = depset(layers))]

py_image_layers = rule(
    implementation = _py_image_layers_impl,
    toolchains = [_PYTHON],
    doc = """A py_binary as two layers: its wheels, then our own code, which changes more often.

All of it lies below /app, our modules by the names they are imported by, those of wheels in /app/site-packages, with
bytecode. The interpreter is not among them, it is the base of the image. Two wheels with the same file are an error.""",
    attrs = {
        "binary": attr.label(
            mandatory = True,
            providers = [PyInfo],
            doc = "The py_binary.",
        ),
        "_layer": attr.label(
            cfg = "exec",
            default = "//bazel/oci:layer",
            executable = True,
        ),
    },
)

def _compress(ctx, tar):
    # Named by the layer, which its history tells; two layers of one name are an error of Bazel's.
    layer = ctx.actions.declare_file("{}_layers/{}.gz".format(ctx.label.name, tar.basename))
    ctx.actions.run(
        arguments = [tar.path, layer.path],
        executable = ctx.executable._compress,
        inputs = [tar],
        mnemonic = "OciCompress",
        outputs = [layer],
        progress_message = "Compressing %{input}",
    )
    return layer

def _oci_image_impl(ctx):
    layout = ctx.actions.declare_directory(ctx.label.name)
    settings = ctx.actions.declare_file(ctx.label.name + ".json")
    config = {
        "Cmd": ctx.attr.cmd,
        "Entrypoint": ctx.attr.entrypoint,
        "Env": ["{}={}".format(key, value) for key, value in sorted(ctx.attr.env.items())],
        "ExposedPorts": {port: {} for port in ctx.attr.exposed_ports},
        "Labels": ctx.attr.labels,
        "User": ctx.attr.user,
        "WorkingDir": ctx.attr.workdir,
    }
    ctx.actions.write(settings, json.encode({
        "annotations": ctx.attr.annotations,
        "architecture": ctx.attr.architecture,
        "config": {key: value for key, value in config.items() if value},
        "os": ctx.attr.os,
    }))
    arguments = ctx.actions.args()
    arguments.add(layout.path)
    arguments.add(settings)
    status = [ctx.info_file] if ctx.attr.stamp else []
    arguments.add_all(status, before_each = "--status")
    if ctx.attr._release[BuildSettingInfo].value:
        arguments.add("--release")
    arguments.add_all(ctx.files.stale, before_each = "--stale")
    layers = [_compress(ctx, tar) for tar in ctx.files.tars]
    arguments.add_all(layers)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._image,
        inputs = [settings] + status + ctx.files.stale + layers,
        mnemonic = "OciImage",
        outputs = [layout],
        progress_message = "Writing %{output}",
    )
    return [DefaultInfo(files = depset([layout]))]

_oci_image = rule(
    implementation = _oci_image_impl,
    doc = "See the macro.",
    attrs = {
        "annotations": attr.string_dict(doc = "Annotations of the manifest, such as org.opencontainers.image.source."),
        "architecture": attr.string(default = "amd64"),
        "cmd": attr.string_list(doc = "Arguments for the entry point, unless whoever runs it gives others."),
        "entrypoint": attr.string_list(mandatory = True),
        "env": attr.string_dict(),
        "exposed_ports": attr.string_list(doc = "Such as 8080/tcp."),
        "labels": attr.string_dict(),
        "os": attr.string(default = "linux"),
        "stale": attr.label_list(
            allow_files = True,
            doc = "Lists of pins that gave way to other versions, which --config=release refuses.",
        ),
        "stamp": attr.bool(doc = "Whether annotations and labels are filled in."),
        "tars": attr.label_list(
            allow_files = [".tar"],
            mandatory = True,
            doc = "The layers, the lowest first, not compressed.",
        ),
        "user": attr.string(doc = "UID:GID."),
        "workdir": attr.string(),
        "_compress": attr.label(
            cfg = "exec",
            default = "//bazel/oci:compress",
            executable = True,
        ),
        "_image": attr.label(
            cfg = "exec",
            default = "//bazel/oci:image",
            executable = True,
        ),
        "_release": attr.label(default = "//bazel:release"),
    },
)

def _oci_sbom_impl(ctx):
    sbom = ctx.actions.declare_file(ctx.label.name + ".cdx.json")
    wheels = depset(transitive = [wheel[DefaultInfo].files for wheel in ctx.attr.wheels] +
                                 [wheel[DefaultInfo].default_runfiles.files for wheel in ctx.attr.wheels])
    arguments = ctx.actions.args()
    arguments.add(sbom)
    arguments.add(ctx.attr.title)
    arguments.add(ctx.file.image.path)
    arguments.add_all(wheels)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._sbom,
        inputs = depset([ctx.file.image], transitive = [wheels]),
        mnemonic = "OciSbom",
        outputs = [sbom],
        progress_message = "Writing %{output}",
    )
    return [DefaultInfo(files = depset([sbom]))]

oci_sbom = rule(
    implementation = _oci_sbom_impl,
    doc = """The bill of materials of an image, as CycloneDX JSON: NAME.cdx.json, for the `referrers` of an oci_push.

Every Debian package and every wheel in it, with version, hash, and licence where that is known.""",
    attrs = {
        "image": attr.label(
            allow_single_file = True,
            mandatory = True,
            doc = "An oci_image.",
        ),
        "title": attr.string(
            mandatory = True,
            doc = "What the image is called.",
        ),
        "wheels": attr.label_list(
            doc = "whl_requirement() of its Python packages; what those depend on comes with them. One that is missing, or " +
                  "not in the image, is an error.",
        ),
        "_sbom": attr.label(
            cfg = "exec",
            default = "//bazel/oci:sbom",
            executable = True,
        ),
    },
)

def _main_impl(ctx):
    def runfile(target):
        file = target[DefaultInfo].files_to_run.executable or target[DefaultInfo].files.to_list()[0]
        return "RUNFILES / " + repr(runfiles_path(ctx.workspace_name, file))

    arguments = {name: repr(value) for name, value in ctx.attr.lists.items() + ctx.attr.texts.items()}
    arguments |= {name: runfile(target) for target, name in ctx.attr.files.items()}
    if ctx.attr.referrers:
        arguments["referrers"] = "[{}]".format(", ".join([runfile(target) for target in ctx.attr.referrers]))
    main = ctx.actions.declare_file(ctx.label.name + ".py")
    ctx.actions.write(main, """\
import os
import sys
from pathlib import Path

from bazel.oci import {module}

RUNFILES = Path(os.environ["RUNFILES_DIR"])

sys.exit({module}.main({arguments}))
""".format(
        arguments = ", ".join(["{}={}".format(name, value) for name, value in sorted(arguments.items())]),
        module = ctx.attr.module,
    ))
    return [DefaultInfo(files = depset([main]))]

_main = rule(
    implementation = _main_impl,
    doc = "The main module of a program that finds its files however it is started.",
    attrs = {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "Files and programs: which argument of the module's main() each is.",
        ),
        "lists": attr.string_list_dict(doc = "Arguments that are lists of words."),
        "module": attr.string(doc = "A module of //bazel/oci."),
        "referrers": attr.label_list(allow_files = True),
        "texts": attr.string_dict(doc = "Arguments that are words."),
    },
)

def _program(name, module, files, kwargs, lists = {}, referrers = [], texts = {}):
    _main(
        name = name + "_main",
        files = files,
        lists = lists,
        module = module,
        referrers = referrers,
        tags = ["manual"],
        texts = texts,
        target_compatible_with = kwargs.get("target_compatible_with"),
        testonly = kwargs.get("testonly"),
    )
    py_binary(
        name = name,
        srcs = [name + "_main"],
        data = files.keys() + referrers,
        main = name + "_main.py",
        deps = [Label("//bazel/oci:lib")],
        **kwargs
    )

def oci_image(name, **kwargs):
    """An image, as an OCI layout: a folder that skopeo, crane and podman read.

    `bazel run :NAME.report` prints what it consists of.

    A key of Bazel's workspace status, such as {STABLE_REVISION}, in an annotation or label is filled in by --stamp; without
    it, that annotation or label is left out.

    Args:
      name: name of the target.
      **kwargs: annotations, architecture, cmd, entrypoint, env, exposed_ports, labels, os, tars, user, workdir: as
        rules_oci has them. The layers of `tars` are not compressed, the lowest first. `stale` are lists of pins that gave
        way to other versions: if there is one, --config=release fails.
    """
    _oci_image(
        name = name,
        stamp = select({
            Label("//bazel:is_stamped"): True,
            "//conditions:default": False,
        }),
        **kwargs
    )
    _program(
        name = name + ".report",
        files = {name: "image"},
        kwargs = {key: kwargs[key] for key in ["target_compatible_with", "testonly", "visibility"] if key in kwargs},
        module = "report",
    )

def oci_load(name, image, repo_tags, **kwargs):
    """`bazel run :NAME` loads an image into Docker or podman; `-- --engine podman` says which.

    Args:
      name: name of the target.
      image: an oci_image.
      repo_tags: what the engine is to call it, such as `calculator:latest`.
      **kwargs: what all targets take.
    """
    _program(
        name = name,
        files = {image: "image"},
        kwargs = kwargs,
        lists = {"repo_tags": repo_tags},
        module = "load",
    )

def oci_push(name, image, repository = "", remote_tags = [], referrers = [], **kwargs):
    """`bazel run :NAME -- HOST/NAME:TAG` pushes an image to a registry, and prints the reference to pull it by.

    `--repository` and `--tag` do the same. Credentials are those of Docker's configuration; for Google's registries, where
    that has none, gcloud's. What the registry has is not sent again.

    Args:
      name: name of the target.
      image: an oci_image.
      repository: where to, unless the command line says.
      remote_tags: what to call it there, unless the command line says.
      referrers: files that are pushed as artifacts referring to the image, such as its bill of materials; what they are
        is in their names, NAME.cdx.json or NAME.spdx.json.
      **kwargs: what all targets take.
    """
    _program(
        name = name,
        files = {Label("@crane//:crane"): "crane", image: "image"},
        kwargs = kwargs,
        lists = {"remote_tags": remote_tags},
        module = "push",
        referrers = referrers,
        texts = {"repository": repository},
    )
