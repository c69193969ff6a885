"""lint_test: a test that runs a linter on files of the repository."""

load("@rules_shell//shell:sh_test.bzl", "sh_test")

def lint_test(name, program, arguments, regex, prefix = ""):
    """Declares a test that runs a linter and fails if the linter fails.

    Args:
      name: name of the target.
      program: label of the linter's executable.
      arguments: the linter's arguments before the files.
      prefix: prepended to the path of each file, such as "--path=".
      regex: an extended regular expression for the whole path of a file, which begins with "./".
    """
    sh_test(
        name = name,
        size = "small",
        srcs = ["lint.sh"],
        args = ["'{}'".format(regex), "'{}'".format(prefix), "$(rootpath {})".format(program)] + arguments,
        data = [program, "//:sources"],
    )
