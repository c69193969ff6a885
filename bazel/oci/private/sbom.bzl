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
