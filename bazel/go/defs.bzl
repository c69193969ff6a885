"""go_library, go_binary, go_test: Go, compiled and linked by Debian's Go, without cgo. go_packages: third-party packages.

go_library, go_binary and go_test have the attributes of rules_go, and in addition `programs` and `vet`. rules_go
downloads Go and itself from outside the package registries. Here, //bazel/go:packages compiles the standard library and
the packages from Debian once; every target can import them without naming them in deps. Each target of this repository
is one package, and is compiled by one action.
"""

GoInfo = provider(
    doc = "A Go package.",
    fields = {
        "archives": "A depset of the compiled files of this package and of its transitive deps.",
        "deps": "The GoInfo of each of its deps.",
        "embedsrcs": "The files that its source files embed.",
        "package": "A struct of the import path (importpath) and the compiled file (archive).",
        "packages": "A depset of the same structs, of this package and of its transitive deps.",
        "srcs": "Its source files.",
    },
)

# All programs are for the one platform on which Debian's compiler runs.
_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOARCH": "amd64",
    "GOOS": "linux",
}

def _tool(label):
    return attr.label(
        cfg = "exec",
        default = label,
        executable = True,
    )

def _go_packages_impl(ctx):
    output = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run(
        arguments = [ctx.file._version.path, output.path] + ctx.attr.importpaths,
        env = _ENVIRONMENT,
        executable = ctx.executable._packages,
        inputs = ctx.attr._source[DefaultInfo].files,
        mnemonic = "GoPackages",
        outputs = [output],
        progress_message = "Compiling Go's standard library and packages from Debian",
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([output]))]

go_packages = rule(
    implementation = _go_packages_impl,
    doc = "Compiles the standard library and packages from Debian, including everything that they import.",
    attrs = {
        "importpaths": attr.string_list(
            doc = "The import paths of the packages from Debian.",
            mandatory = True,
        ),
        "_packages": _tool("//bazel/go:packages_sh"),
        "_source": attr.label(
            cfg = "exec",
            default = "@golang//:source",
        ),
        "_version": attr.label(
            allow_single_file = True,
            cfg = "exec",
            default = "@golang//:goroot/VERSION",
        ),
    },
)

_COMPILER_ATTRS = {
    "deps": attr.label_list(
        doc = "The go_library and go_proto_library targets that it imports.",
        providers = [GoInfo],
    ),
    "embed": attr.label_list(
        doc = "go_library targets whose srcs, embedsrcs and deps are added, so that they are part of the same package.",
        providers = [GoInfo],
    ),
    "embedsrcs": attr.label_list(
        allow_files = True,
        doc = "Files that the sources embed, in any folder. `//go:embed` names a file without its folder.",
    ),
    "srcs": attr.label_list(
        allow_files = [".go"],
        doc = "The source files, all of the same package.",
    ),
    "vet": attr.bool(
        default = True,
        doc = "Whether the build fails if `go vet` finds a mistake.",
    ),
    "_compile": _tool("@golang//:compile"),
    "_compile_sh": _tool("//bazel/go:compile_sh"),
    "_packages": attr.label(
        allow_single_file = True,
        # In one configuration only, so that they are compiled once.
        cfg = "exec",
        default = "//bazel/go:packages",
    ),
    "_vet": _tool("@golang//:vet"),
    "_vet_sh": _tool("//bazel/go:vet_sh"),
}

_PROGRAM_ATTRS = _COMPILER_ATTRS | {
    "data": attr.label_list(
        allow_files = True,
        doc = "Files that the program reads.",
    ),
    "env": attr.string_dict(),
    "programs": attr.label_keyed_string_dict(
        allow_files = True,
        doc = "Programs that it runs, each with the environment variable that is set to its path.",
    ),
    "_link": _tool("@golang//:link"),
    "_link_sh": _tool("//bazel/go:link_sh"),
}

def _packagefile(package):
    return "packagefile {}={}".format(package.importpath, package.archive.path)

def _importcfg(ctx, name, packages):
    file = ctx.actions.declare_file(name + ".importcfg")
    lines = ctx.actions.args().set_param_file_format("multiline").add_all(packages, map_each = _packagefile)
    ctx.actions.write(file, lines)
    return file

def _embedcfg(ctx, name, files):
    """Writes what `//go:embed` may name: https://pkg.go.dev/cmd/compile, flag -embedcfg."""
    file = ctx.actions.declare_file(name + ".embedcfg")
    names = {}
    for embedded in files:
        if embedded.basename in names:
            fail("{} and {} have the same name: embedsrcs are embedded without their folders".format(
                names[embedded.basename],
                embedded.path,
            ))
        names[embedded.basename] = embedded.path
    content = {
        "Files": names,
        "Patterns": {basename: [basename] for basename in names},
    }
    ctx.actions.write(file, json.encode(content))
    return file

def _compile(ctx, name, importpath, srcs, deps, embedsrcs = []):
    """Compiles one package.

    Args:
      ctx: the rule's context.
      name: the name of the compiled file, without its suffix.
      importpath: the import path of the package.
      srcs: its source files.
      deps: the GoInfo of each of its deps.
      embedsrcs: the files that its source files embed.

    Returns:
      its GoInfo, and a file that exists if `go vet` finds nothing.
    """
    archive = ctx.actions.declare_file(name + ".a")
    checked = ctx.actions.declare_file(name + ".vet")
    embedcfg = _embedcfg(ctx, name, embedsrcs)
    importcfg = _importcfg(ctx, name, [dep.package for dep in deps])
    inputs = srcs + [importcfg, ctx.file._packages] + [dep.package.archive for dep in deps]
    ctx.actions.run(
        arguments = [
            ctx.executable._compile.path,
            ctx.file._packages.path,
            importcfg.path,
            embedcfg.path,
            ctx.bin_dir.path,
            importpath,
            archive.path,
        ] + [src.path for src in srcs],
        env = _ENVIRONMENT,
        executable = ctx.executable._compile_sh,
        inputs = inputs + embedsrcs + [embedcfg],
        mnemonic = "GoCompile",
        outputs = [archive],
        progress_message = "Compiling Go package %{label}",
        tools = [ctx.executable._compile],
        use_default_shell_env = True,
    )
    ctx.actions.run(
        arguments = [
            ctx.executable._vet.path,
            ctx.file._packages.path,
            importcfg.path,
            importpath,
            checked.path,
        ] + [src.path for src in srcs],
        env = _ENVIRONMENT,
        executable = ctx.executable._vet_sh,
        inputs = inputs,
        mnemonic = "GoVet",
        outputs = [checked],
        progress_message = "Running go vet on %{label}",
        tools = [ctx.executable._vet],
        use_default_shell_env = True,
    )
    package = struct(archive = archive, importpath = importpath)
    info = GoInfo(
        archives = depset([archive], transitive = [dep.archives for dep in deps]),
        deps = deps,
        embedsrcs = embedsrcs,
        package = package,
        packages = depset([package], transitive = [dep.packages for dep in deps]),
        srcs = srcs,
    )
    return info, checked

def _link(ctx, main):
    """Links the package main, a GoInfo, to the program of the target, and returns it."""
    program = ctx.actions.declare_file(ctx.label.name)
    importcfg = _importcfg(ctx, ctx.label.name + ".link", main.packages)
    ctx.actions.run(
        arguments = [
            ctx.executable._link.path,
            ctx.file._packages.path,
            importcfg.path,
            main.package.archive.path,
            program.path,
        ],
        env = _ENVIRONMENT,
        executable = ctx.executable._link_sh,
        inputs = depset([importcfg, ctx.file._packages], transitive = [main.archives]),
        mnemonic = "GoLink",
        outputs = [program],
        progress_message = "Linking Go program %{label}",
        tools = [ctx.executable._link],
        use_default_shell_env = True,
    )
    return program

def _compile_target(ctx, importpath):
    """Compiles the package that consists of srcs and embed. Returns the same as _compile."""
    embedded = [target[GoInfo] for target in ctx.attr.embed]
    srcs = ctx.files.srcs + [src for info in embedded for src in info.srcs]
    if not srcs:
        fail("{} has no source files: set srcs or embed".format(ctx.label))
    deps = [target[GoInfo] for target in ctx.attr.deps] + [dep for info in embedded for dep in info.deps]
    embedsrcs = ctx.files.embedsrcs + [file for info in embedded for file in info.embedsrcs]
    return _compile(ctx, ctx.label.name, importpath, srcs, deps, embedsrcs)

def _validation(ctx, checked):
    return OutputGroupInfo(_validation = depset([checked] if ctx.attr.vet else []))

def _go_library_impl(ctx):
    info, checked = _compile_target(ctx, ctx.attr.importpath)
    return [DefaultInfo(files = depset([info.package.archive])), info, _validation(ctx, checked)]

go_library = rule(
    implementation = _go_library_impl,
    doc = "Compiles a Go package, and runs `go vet` on it.",
    attrs = _COMPILER_ATTRS | {
        "importpath": attr.string(
            doc = "The path by which other packages import it. Paths of this repository begin with calculator/.",
            mandatory = True,
        ),
    },
)

def _run_environment(ctx, program, checked):
    """Returns the providers of an executable target."""
    used = ctx.attr.data + ctx.attr.programs.keys()
    runfiles = ctx.runfiles(transitive_files = depset(transitive = [each[DefaultInfo].files for each in used]))
    environment = ctx.attr.env | {
        name: (target[DefaultInfo].files_to_run.executable or target[DefaultInfo].files.to_list()[0]).short_path
        for target, name in ctx.attr.programs.items()
    }
    return [
        DefaultInfo(
            executable = program,
            runfiles = runfiles.merge_all([each[DefaultInfo].default_runfiles for each in used]),
        ),
        RunEnvironmentInfo(environment = environment),
        _validation(ctx, checked),
    ]

def _go_binary_impl(ctx):
    main, checked = _compile_target(ctx, "main")
    return _run_environment(ctx, _link(ctx, main), checked)

go_binary = rule(
    implementation = _go_binary_impl,
    doc = "Builds a Go program: one static file, the same on every machine.",
    attrs = _PROGRAM_ATTRS,
    executable = True,
)

def _go_test_impl(ctx):
    importpath = ctx.attr.importpath or "calculator/" + ctx.label.package
    tested, checked = _compile_target(ctx, importpath)
    source = ctx.actions.declare_file(ctx.label.name + ".main.go")
    ctx.actions.run(
        arguments = [source.path, importpath] + [src.path for src in ctx.files.srcs],
        executable = ctx.executable._testmain,
        inputs = ctx.files.srcs,
        mnemonic = "GoTestMain",
        outputs = [source],
        progress_message = "Listing the tests of %{label}",
    )
    main, _ = _compile(ctx, ctx.label.name + ".main", "main", [source], [tested, ctx.attr._testrun[GoInfo]])
    return _run_environment(ctx, _link(ctx, main), checked)

go_test = rule(
    implementation = _go_test_impl,
    doc = """Runs the Go tests, the examples, and the fuzz tests with their seeds that are in srcs, which are one package.

The tests run in the runfiles' folder of the repository. `--test_filter` is a regular expression, like -test.run of
`go test`. A target without tests fails, and so does a filter that matches none of them.""",
    attrs = _PROGRAM_ATTRS | {
        "importpath": attr.string(
            doc = "The import path of the package, by default calculator/ and the path of its folder.",
        ),
        "_testmain": _tool("//bazel/go:testmain"),
        "_testrun": attr.label(
            default = "//bazel/go:testrun",
            providers = [GoInfo],
        ),
    },
    test = True,
)
