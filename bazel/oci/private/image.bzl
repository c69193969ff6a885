"""oci_image_rule, the rule that implements oci_image; oci_compressed_layer, a layer that several images share."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")

_COMPRESS = {
    "_compress": attr.label(
        cfg = "exec",
        default = "//bazel/oci:compress",
        executable = True,
    ),
}

def _compressed(ctx, tar):
    """Returns the compressed file of a layer."""
    if tar.extension == "gz":
        return tar

    # The file has the name of the layer, which the image's history records. Two layers with one name are a Bazel error.
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

def _compressed_layer_impl(ctx):
    return [DefaultInfo(files = depset([_compressed(ctx, ctx.file.tar)]))]

oci_compressed_layer = rule(
    implementation = _compressed_layer_impl,
    doc = "Compresses a layer once for all images that have it. An image compresses its other layers itself.",
    attrs = _COMPRESS | {
        "tar": attr.label(
            allow_single_file = [".tar"],
            mandatory = True,
            doc = "The layer.",
        ),
    },
)

def _image_impl(ctx):
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
    layers = [_compressed(ctx, tar) for tar in ctx.files.tars]
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

oci_image_rule = rule(
    implementation = _image_impl,
    doc = "Builds an image as an OCI layout; see oci_image in //bazel/oci:defs.bzl.",
    attrs = _COMPRESS | {
        "annotations": attr.string_dict(doc = "Annotations of the manifest, such as org.opencontainers.image.source."),
        "architecture": attr.string(default = "amd64"),
        "cmd": attr.string_list(doc = "Default arguments for the entry point."),
        "entrypoint": attr.string_list(mandatory = True),
        "env": attr.string_dict(),
        "exposed_ports": attr.string_list(doc = "Ports, such as 8080/tcp."),
        "labels": attr.string_dict(),
        "os": attr.string(default = "linux"),
        "stale": attr.label_list(
            allow_files = True,
            doc = "Files that list pins that were not used. --config=release fails if one is not empty.",
        ),
        "stamp": attr.bool(doc = "Whether to replace keys of the workspace status in annotations and labels."),
        "tars": attr.label_list(
            allow_files = [
                ".tar",
                ".tar.gz",
            ],
            mandatory = True,
            doc = "The layers, the lowest first. Compressed ones are from oci_compressed_layer.",
        ),
        "user": attr.string(doc = "UID:GID."),
        "workdir": attr.string(),
        "_image": attr.label(
            cfg = "exec",
            default = "//bazel/oci:image",
            executable = True,
        ),
        "_release": attr.label(default = "//bazel:release"),
    },
)
