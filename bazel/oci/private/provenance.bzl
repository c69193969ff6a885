"""oci_provenance_rule: the rule that implements oci_provenance."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")

def _oci_provenance_impl(ctx):
    provenance = ctx.actions.declare_file(ctx.label.name + ".slsa.json")
    image = ctx.attr.image.label
    arguments = ctx.actions.args()
    arguments.add(provenance)
    arguments.add(ctx.file.image.path)
    arguments.add("//{}:{}".format(image.package, image.name))
    if ctx.attr._release[BuildSettingInfo].value:
        arguments.add("--option=--//bazel:release")
    status = [ctx.info_file] if ctx.attr.stamp else []
    arguments.add_all(status, before_each = "--status")
    for lock in ctx.files.locks:
        arguments.add_all("--lock", [lock.path, lock.short_path])
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._provenance,
        inputs = [ctx.file.image] + status + ctx.files.locks,
        mnemonic = "OciProvenance",
        outputs = [provenance],
        progress_message = "Writing %{output}",
    )
    return [DefaultInfo(files = depset([provenance]))]

oci_provenance_rule = rule(
    implementation = _oci_provenance_impl,
    doc = "Writes the provenance of an image; see oci_provenance in //bazel/oci:defs.bzl.",
    attrs = {
        "image": attr.label(
            allow_single_file = True,
            mandatory = True,
            doc = "An oci_image.",
        ),
        "locks": attr.label_list(
            allow_files = True,
            doc = "The files that pin what the image is built from.",
        ),
        "stamp": attr.bool(doc = "Whether to read the builder from the workspace status."),
        "_provenance": attr.label(
            cfg = "exec",
            default = "//bazel/oci:provenance",
            executable = True,
        ),
        "_release": attr.label(default = "//bazel:release"),
    },
)
