"""sources: one target with every file of the repository, which every package must be part of."""

def _check_tests():
    """Fails if the package has a test module that no target runs."""
    used = []
    for rule in native.existing_rules().values():
        used += list(rule.get("srcs", [])) + [rule.get("entry_point")]
    for module in native.glob(["*_test.go", "*_test.py", "*_test.ts"], allow_empty = True):
        if ":" + module not in used:
            fail("{} never runs: declare a test for it in {}/BUILD.bazel".format(module, native.package_name()))

def sources(name):
    """Declares the files of this package and of all packages below it as one filegroup.

    `//:sources` is thus the whole repository, for tests that check all of it. A package without this call breaks the
    build of these tests.

    It must be the last call in a BUILD file: it also fails if a test module of the package is not used by any target
    above it.

    Args:
      name: must be "sources" in every package.
    """
    _check_tests()
    packages = native.subpackages(
        include = ["**"],
        allow_empty = True,
    )
    here = native.package_name() + "/" if native.package_name() else ""
    native.filegroup(
        name = name,
        # Terraform's state describes one person's deployment, so builds must not depend on it.
        srcs = native.glob(
            ["**"],
            exclude = ["**/*.tfstate*"],
        ) + ["//{}{}:{}".format(here, package, name) for package in packages],
        testonly = False,  # overrides the package's default
        visibility = ["//:__subpackages__"],
    )
