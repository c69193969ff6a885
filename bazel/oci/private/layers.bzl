"""oci_layer: a layer of an image. py_image_layers: the layers of an image for a py_binary."""

load("@rules_python//python:defs.bzl", "PyInfo")
load("//bazel:runfiles.bzl", "runfiles_path")

# Files in wheels that are not needed at run time.
_UNNEEDED_SUFFIXES = (".pyi", ".pyx", ".pxd", ".pxi", ".h", ".c", ".cc", ".proto", "/py.typed", "/RECORD", "/INSTALLER", "/WHEEL")

_PYTHON = Label("@rules_python//python:toolchain_type")

def _import_path(path, roots):
    """Returns the path of a file relative to the longest import root that contains it."""
    root = ""
    for candidate in roots:
        if path.startswith(candidate + "/") and len(candidate) > len(root):
            root = candidate
    return path[len(root):].lstrip("/") if root else path.partition("/")[2]

def _layer(ctx, name, entries):
    tar = ctx.actions.declare_file(name + ".tar")
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add(tar)
    for destination, file in entries:
        arguments.add(destination)
        arguments.add(file)
    ctx.actions.run(
        arguments = [arguments],
        executable = ctx.executable._layer,
        inputs = [file for _, file in entries],
        mnemonic = "OciLayer",
        outputs = [tar],
        progress_message = "Writing %{output}",
    )
    return tar

_LAYER_ATTRS = {
    "_layer": attr.label(
        cfg = "exec",
        default = "//bazel/oci:layer",
        executable = True,
    ),
}

def _only_file(target):
    """Returns the program of a target, or its only file."""
    files = target[DefaultInfo].files.to_list()
    program = target[DefaultInfo].files_to_run.executable
    if not program and len(files) != 1:
        fail("{} has {} files: must be a program or have one file".format(target.label, len(files)))
    return program or files[0]

def _oci_layer_impl(ctx):
    for path in ctx.attr.files.values():
        if path.startswith("/") or ".." in path.split("/"):
            fail("{} is not a path relative to the root of the image, without ..".format(path))
    entries = [(path, _only_file(target)) for target, path in ctx.attr.files.items()]
    return [DefaultInfo(files = depset([_layer(ctx, ctx.label.name, entries)]))]

oci_layer = rule(
    implementation = _oci_layer_impl,
    doc = "Writes files and programs, without their runfiles, as one uncompressed layer.",
    attrs = _LAYER_ATTRS | {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "The files, each with its path in the image, relative to the root.",
            mandatory = True,
        ),
    },
)

def _py_image_layers_impl(ctx):
    binary = ctx.attr.binary
    roots = binary[PyInfo].imports.to_list()
    interpreter = {file: True for file in ctx.toolchains[_PYTHON].py3_runtime.files.to_list()}
    wheels, app = [], []
    for file in binary[PyInfo].transitive_sources.to_list() + binary[DefaultInfo].default_runfiles.files.to_list():
        path = runfiles_path(ctx.workspace_name, file)
        if file.owner == binary.label:
            continue  # The launcher, which the image does not need, and in newer versions of rules_python its files.
        elif path.startswith(ctx.workspace_name + "/"):
            app.append(("app/" + _import_path(path, roots), file))
        elif "/site-packages/" in path:
            if not path.endswith(_UNNEEDED_SUFFIXES):
                wheels.append(("app/site-packages/" + _import_path(path, roots), file))
        elif file not in interpreter:
            fail("{} is neither in this repository nor in a wheel: py_image_layers does not support it".format(path))
    layers = [_layer(ctx, ctx.label.name + "_wheels", wheels), _layer(ctx, ctx.label.name + "_app", app)]
    return [DefaultInfo(files = depset(layers))]

py_image_layers = rule(
    implementation = _py_image_layers_impl,
    toolchains = [_PYTHON],
    doc = """Writes a py_binary as two layers: its wheels, then the repository's own code, which changes more often.

The repository's modules are in /app by their import paths, and wheels are in /app/site-packages, all with bytecode. The
interpreter is not included: it is the base layer of the image. Different files with the same path are an error.""",
    attrs = _LAYER_ATTRS | {
        "binary": attr.label(
            mandatory = True,
            providers = [PyInfo],
            doc = "The py_binary.",
        ),
    },
)
