"""sources: every file of the repository, as one target that no package can stay out of."""

def _check_tests():
    """Fails if the package has a test module that no target runs."""
    used = []
    for rule in native.existing_rules().values():
        used += list(rule.get("srcs", [])) + [rule.get("entry_point")]
    for module in native.glob(["*_test.py", "*_test.ts"], allow_empty = True):
        if ":" + module not in used:
            fail("{} never runs: declare a test for it in {}/BUILD.bazel".format(module, native.package_name()))

def sources(name):
    """Declares the files of this package and of all packages below it as one filegroup.

    `//:sources` is thus the whole repository, for tests that look at all of it. A package that forgets this call breaks
    the build of every such test.

    It has to be the last call in a BUILD file, since it also fails if no target above it runs a test module of the
    package.

    Args:
      name: "sources", in every package.
    """
    _check_tests()
    packages = native.subpackages(
        include = ["**"],
        allow_empty = True,
    )
    here = native.package_name() + "/" if native.package_name() else ""
    native.filegroup(
        name = name,
        # Terraform's state tells what one person has deployed: no build is to depend on it.
        srcs = native.glob(
            ["**"],
            exclude = ["**/*.tfstate*"],
        ) + ["//{}{}:{}".format(here, package, name) for package in packages],
        testonly = False,  # whatever the default of the package is
        visibility = ["//:__subpackages__"],
    )
