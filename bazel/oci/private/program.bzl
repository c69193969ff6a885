"""program: a program that knows the paths of its files, so that they need not be given as arguments."""

load("@rules_python//python:defs.bzl", "py_binary")
load("//bazel:runfiles.bzl", "runfiles_path")

def _main_impl(ctx):
    def runfile(target):
        file = target[DefaultInfo].files_to_run.executable or target[DefaultInfo].files.to_list()[0]
        return "RUNFILES / " + repr(runfiles_path(ctx.workspace_name, file))

    arguments = {name: repr(value) for name, value in ctx.attr.lists.items() + ctx.attr.texts.items()}
    arguments |= {name: runfile(target) for target, name in ctx.attr.files.items()}
    if ctx.attr.referrers:
        arguments["referrers"] = "[{}]".format(", ".join([runfile(target) for target in ctx.attr.referrers]))
    written = ", ".join(["{}={}".format(name, value) for name, value in sorted(arguments.items())])
    main = ctx.actions.declare_file(ctx.label.name + ".py")
    ctx.actions.expand_template(
        output = main,
        substitutions = {
            "ARGUMENTS": "{}.{}({})".format(ctx.attr.module, ctx.attr.record, written) if ctx.attr.record else written,
            "MODULE": ctx.attr.module,
        },
        template = ctx.file._template,
    )
    return [DefaultInfo(files = depset([main]))]

_main = rule(
    implementation = _main_impl,
    doc = "Writes the main module of a program.",
    attrs = {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "Files and programs, each with the argument of the module's main() that gets its path.",
        ),
        "lists": attr.string_list_dict(doc = "Arguments that are lists of strings."),
        "module": attr.string(doc = "A module of //bazel/oci."),
        "record": attr.string(doc = "A class of the module that takes the arguments; its instance is that of main()."),
        "referrers": attr.label_list(allow_files = True),
        "texts": attr.string_dict(doc = "Arguments that are strings."),
        "_template": attr.label(
            allow_single_file = True,
            default = "//bazel/oci/private:main.py.tpl",
        ),
    },
)

def program(name, module, files, kwargs, lists = {}, record = None, referrers = [], texts = {}):
    """Declares a py_binary that calls main() of a module of //bazel/oci.

    Args:
      name: name of the target.
      module: the module.
      files: targets, each with the argument of main() that gets its path.
      kwargs: attributes that all targets have.
      lists: arguments of main() that are lists of strings.
      record: the class of the module whose instance is the only argument of main(), if there are many.
      referrers: files whose paths are the argument `referrers`.
      texts: arguments of main() that are strings.
    """
    _main(
        name = name + "_main",
        files = files,
        lists = lists,
        module = module,
        record = record,
        referrers = referrers,
        tags = ["manual"],
        texts = texts,
        target_compatible_with = kwargs.get("target_compatible_with"),
        testonly = kwargs.get("testonly"),
    )
    py_binary(
        name = name,
        srcs = [name + "_main"],
        data = files.keys() + referrers,
        main = name + "_main.py",
        deps = [Label("//bazel/oci:lib")],
        **kwargs
    )
