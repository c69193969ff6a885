"""lint_test: a linter over every file of the repository, as a test."""

load("@rules_shell//shell:sh_test.bzl", "sh_test")

def lint_test(name, program, arguments, regex, prefix = ""):
    """Fails where the linter does.

    Args:
      name: name of the target.
      program: label of the linter's executable.
      arguments: what it is given before the files.
      prefix: what stands before each file, such as "--path=".
      regex: which files: an extended regular expression for the whole path, which begins with "./".
    """
    sh_test(
        name = name,
        size = "small",
        srcs = ["lint.sh"],
        args = ["'{}'".format(regex), "'{}'".format(prefix), "$(rootpath {})".format(program)] + arguments,
        data = [program, "//:sources"],
    )
