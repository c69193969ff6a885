"""Paths in the runfiles of a program."""

def runfiles_path(workspace, file):
    """Returns the path of a file relative to the runfiles folder.

    Args:
      workspace: the name of the main repository, ctx.workspace_name.
      file: a File.
    """
    path = file.short_path
    return path[len("../"):] if path.startswith("../") else workspace + "/" + path

def repository_path(name):
    """Returns the path of an external repository relative to the working directory of a test or of `bazel run`.

    Its last component is NAME in a WORKSPACE, but another one in the module system.

    Args:
      name: the repository's name in WORKSPACE or MODULE.bazel.
    """
    return "../" + Label("@{}//:BUILD.bazel".format(name)).repo_name
