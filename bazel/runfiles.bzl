"""runfiles_path: the path of a file in the runfiles of a program."""

def runfiles_path(workspace, file):
    """Returns the path of a file relative to the runfiles folder.

    Args:
      workspace: the name of the main repository, ctx.workspace_name.
      file: a File.
    """
    path = file.short_path
    return path[len("../"):] if path.startswith("../") else workspace + "/" + path
