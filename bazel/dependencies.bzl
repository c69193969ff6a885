"""dependencies: writes the dependency graph of targets to a file, for tests.

genquery could do this, but it fetches every repository that a target might need, even those for other platforms.
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
    doc = "Collects the dependencies between targets of this repository.",
    attr_aspects = ["deps"],
)

def _dependencies_impl(ctx):
    file = ctx.actions.declare_file(ctx.label.name + ".txt")
    edges = depset(transitive = [target[_EdgesInfo].edges for target in ctx.attr.targets])
    ctx.actions.write(file, ctx.actions.args().add_all(edges).set_param_file_format("multiline"))
    return [DefaultInfo(files = depset([file]), runfiles = ctx.runfiles([file]))]

dependencies = rule(
    implementation = _dependencies_impl,
    doc = "Writes a line \"FROM TO\" for each dependency by `deps`, where FROM and TO are labels.",
    attrs = {
        "targets": attr.label_list(doc = "Targets where the graph starts.", aspects = [_edges], mandatory = True),
    },
)
