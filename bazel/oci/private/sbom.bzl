"""oci_sbom: the bill of materials of an image."""

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
    doc = """Writes the bill of materials of an image in CycloneDX format: NAME.cdx.json, for `referrers` of oci_push.

It lists every Debian package and every wheel in the image with version, hash and, if known, licence.""",
    attrs = {
        "image": attr.label(
            allow_single_file = True,
            mandatory = True,
            doc = "An oci_image.",
        ),
        "title": attr.string(
            mandatory = True,
            doc = "The name of the image.",
        ),
        "wheels": attr.label_list(
            doc = "whl_requirement() of the Python packages in the image. Their dependencies are included. A missing " +
                  "wheel is an error, and so is one that is not in the image.",
        ),
        "_sbom": attr.label(
            cfg = "exec",
            default = "//bazel/oci:sbom",
            executable = True,
        ),
    },
)
