"""oci_sbom: the bill of materials of an image."""

def _oci_sbom_impl(ctx):
    sbom = ctx.actions.declare_file(ctx.label.name + ".cdx.json")
    wheels = depset(transitive = [wheel[DefaultInfo].files for wheel in ctx.attr.wheels] +
                                 [wheel[DefaultInfo].default_runfiles.files for wheel in ctx.attr.wheels])
    arguments = ctx.actions.args()
    arguments.add(sbom)
    arguments.add(ctx.attr.title)
    arguments.add(ctx.file.image.path)
    arguments.add(ctx.file._package_lock)
    arguments.add_all(ctx.files.metafiles, before_each = "--metafile")
    arguments.add_all(wheels)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._sbom,
        inputs = depset([ctx.file.image, ctx.file._package_lock] + ctx.files.metafiles, transitive = [wheels]),
        mnemonic = "OciSbom",
        outputs = [sbom],
        progress_message = "Writing %{output}",
    )
    return [DefaultInfo(files = depset([sbom]))]

oci_sbom = rule(
    implementation = _oci_sbom_impl,
    doc = """Writes the bill of materials of an image in CycloneDX format: NAME.cdx.json, for `referrers` of oci_push.

It lists every Debian package, every wheel and every bundled npm package in the image with version, hash and, if known,
licence.""",
    attrs = {
        "image": attr.label(
            allow_single_file = True,
            mandatory = True,
            doc = "An oci_image.",
        ),
        "metafiles": attr.label_list(
            allow_files = [".json"],
            doc = "esbuild's metafiles of the JavaScript in the image: NAME_metafile of each web_page.",
        ),
        "title": attr.string(
            mandatory = True,
            doc = "The name of the image.",
        ),
        "wheels": attr.label_list(
            doc = "whl_requirement() of the Python packages in the image. Their dependencies are included. A missing " +
                  "wheel is an error, and so is one that is not in the image.",
        ),
        "_package_lock": attr.label(
            allow_single_file = True,
            default = "//third_party/npm:package-lock.json",
        ),
        "_sbom": attr.label(
            cfg = "exec",
            default = "//bazel/oci:sbom",
            executable = True,
        ),
    },
)
