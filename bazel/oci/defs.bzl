"""oci_image and py_image_layers: container images without a container engine, the same to the byte for the same sources.

The attributes are those of rules_oci, so that a switch is one load() line.
"""

load("@rules_python//python:defs.bzl", "PyInfo", "py_binary")

# What a wheel carries and a server never reads.
_UNNEEDED_SUFFIXES = (".pyi", ".pyx", ".pxd", ".pxi", ".h", ".c", ".proto", "/py.typed", "/RECORD", "/INSTALLER", "/WHEEL")

def _runfiles_path(workspace, file):
    path = file.short_path
    return path[len("../"):] if path.startswith("../") else workspace + "/" + path

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
        arguments.add(file, format = destination.replace("%", "%%") + "=%s")
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
    wheels, app = [], []
    for file in binary[PyInfo].transitive_sources.to_list() + binary[DefaultInfo].default_runfiles.files.to_list():
        path = _runfiles_path(ctx.workspace_name, file)
        is_ours = path.startswith(ctx.workspace_name + "/")
        if file == binary[DefaultInfo].files_to_run.executable or path.endswith(_UNNEEDED_SUFFIXES):
            continue
        if is_ours:
            app.append(("app/" + _import_path(path, roots), file))
        elif "/site-packages/" in path:
            wheels.append(("app/site-packages/" + _import_path(path, roots), file))
    layers = [_layer(ctx, "wheels", wheels), _layer(ctx, "app", app)]
    return [DefaultInfo(files = depset(layers))]

py_image_layers = rule(
    implementation = _py_image_layers_impl,
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
    arguments.add_all(ctx.files.tars)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._image,
        inputs = [settings] + ctx.files.tars,
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
        "tars": attr.label_list(
            allow_files = [".tar"],
            mandatory = True,
            doc = "The layers, the lowest first, not compressed.",
        ),
        "user": attr.string(doc = "UID:GID."),
        "workdir": attr.string(),
        "_image": attr.label(
            cfg = "exec",
            default = "//bazel/oci:image",
            executable = True,
        ),
    },
)

def oci_image(name, **kwargs):
    """An image, as an OCI layout: a folder that skopeo, crane and podman read.

    `bazel run :NAME.report` prints what it consists of.

    Args:
      name: name of the target.
      **kwargs: annotations, architecture, cmd, entrypoint, env, exposed_ports, labels, os, tars, user, workdir: as
        rules_oci has them. The layers of `tars` are not compressed, the lowest first.
    """
    _oci_image(name = name, **kwargs)
    py_binary(
        name = name + ".report",
        srcs = [Label("//bazel/oci:report.py")],
        args = ["$(rootpath {})".format(name)],
        data = [name],
        main = Label("//bazel/oci:report.py"),
        deps = [Label("//bazel/oci:lib")],
        target_compatible_with = kwargs.get("target_compatible_with"),
        visibility = kwargs.get("visibility"),
    )
