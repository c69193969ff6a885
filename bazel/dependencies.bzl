"""dependencies: the graph of targets, as a file that a test can read.

genquery would do, but it needs every repository that a target could ever need, even those of other platforms.
"""

_EdgesInfo = provider("The dependencies of a target.", fields = {"edges": "A depset of lines, each \"FROM TO\"."})

def _edges_impl(target, ctx):
    deps = getattr(ctx.rule.attr, "deps", [])
    own = ["{} {}".format(target.label, dep.label) for dep in deps if _is_ours(target.label) and _is_ours(dep.label)]
    return [_EdgesInfo(edges = depset(own, transitive = [dep[_EdgesInfo].edges for dep in deps if _EdgesInfo in dep]))]

def _is_ours(label):
    return not label.workspace_name

_edges = aspect(
    implementation = _edges_impl,
    doc = "Collects the dependencies of targets of this repository on each other.",
    attr_aspects = ["deps"],
)

def _dependencies_impl(ctx):
    file = ctx.actions.declare_file(ctx.label.name + ".txt")
    edges = depset(transitive = [target[_EdgesInfo].edges for target in ctx.attr.targets])
    ctx.actions.write(file, ctx.actions.args().add_all(edges).set_param_file_format("multiline"))
    return [DefaultInfo(files = depset([file]), runfiles = ctx.runfiles([file]))]

dependencies = rule(
    implementation = _dependencies_impl,
    doc = "Writes which targets depend on which, by `deps`: a line \"FROM TO\" for each pair of labels.",
    attrs = {
        "targets": attr.label_list(doc = "Targets, with all that they depend on.", aspects = [_edges], mandatory = True),
    },
)
