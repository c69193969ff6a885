"""runfiles_path: where a file is among the runfiles of a program."""

def runfiles_path(workspace, file):
    """Returns the path of a file below the folder of runfiles.

    Args:
      workspace: the name of the main repository, ctx.workspace_name.
      file: a File.
    """
    path = file.short_path
    return path[len("../"):] if path.startswith("../") else workspace + "/" + path
