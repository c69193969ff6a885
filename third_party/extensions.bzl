"""Module extensions that declare the repositories of repositories.bzl, for MODULE.bazel."""

load("//bazel/python:pypi.bzl", "parse_lock")
load(":repositories.bzl", "debian_repositories", "npm_repositories", "pypi_lock_repository", "pypi_repositories")

def _debian_impl(_):
    debian_repositories()

debian = module_extension(
    implementation = _debian_impl,
    doc = "Packages from Debian, among them the Python toolchain.",
)

def _pypi_impl(mctx):
    pypi_lock_repository()
    pypi_repositories(parse_lock(mctx.read(Label("//third_party/python:requirements.lock"))))

pypi = module_extension(
    implementation = _pypi_impl,
    doc = "Packages from PyPI: `pypi` with requirements.bzl, and `pypi_NAME` for each package.",
)

def _npm_impl(_):
    npm_repositories()

npm = module_extension(
    implementation = _npm_impl,
    doc = "Packages from the npm registry.",
)
