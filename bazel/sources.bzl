"""sources: every file of the repository, as one target that no package can stay out of."""

def sources(name):
    """Declares the files of this package and of all packages below it as one filegroup.

    `//:sources` is thus the whole repository, for tests that look at all of it. A package that forgets this call breaks
    the build of every such test.

    Args:
      name: "sources", in every package.
    """
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
        visibility = ["//:__subpackages__"],
    )
