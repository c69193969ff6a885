"""Container images without a container engine, the same to the byte for the same sources.

Attributes are called as in rules_oci where it has them; `stale`, `referrers`, oci_sbom and py_image_layers are ours.
"""

load("//bazel/oci/private:image.bzl", "oci_image_rule")
load("//bazel/oci/private:layers.bzl", _py_image_layers = "py_image_layers")
load("//bazel/oci/private:program.bzl", "program")
load("//bazel/oci/private:sbom.bzl", _oci_sbom = "oci_sbom")

oci_sbom = _oci_sbom
py_image_layers = _py_image_layers

def oci_image(name, **kwargs):
    """An image, as an OCI layout: a folder that skopeo, crane and podman read.

    `bazel run :NAME.report` prints what it consists of.

    A key of Bazel's workspace status, such as {STABLE_REVISION}, in an annotation or label is filled in by --stamp; without
    it, that annotation or label is left out.

    Args:
      name: name of the target.
      **kwargs: annotations, architecture, cmd, entrypoint, env, exposed_ports, labels, os, tars, user, workdir: as
        rules_oci has them. The layers of `tars` are not compressed, the lowest first. `stale` are lists of pins that gave
        way to other versions: if there is one, --config=release fails.
    """
    oci_image_rule(
        name = name,
        stamp = select({
            Label("//bazel:is_stamped"): True,
            "//conditions:default": False,
        }),
        **kwargs
    )
    program(
        name = name + ".report",
        files = {name: "image"},
        kwargs = {key: kwargs[key] for key in ["target_compatible_with", "testonly", "visibility"] if key in kwargs},
        module = "report",
    )

def oci_load(name, image, repo_tags, **kwargs):
    """`bazel run :NAME` loads an image into Docker or podman; `-- --engine podman` says which.

    Args:
      name: name of the target.
      image: an oci_image.
      repo_tags: what the engine is to call it, such as `calculator:latest`.
      **kwargs: what all targets take.
    """
    program(
        name = name,
        files = {image: "image"},
        kwargs = kwargs,
        lists = {"repo_tags": repo_tags},
        module = "load",
    )

def oci_push(name, image, repository = "", remote_tags = [], referrers = [], **kwargs):
    """`bazel run :NAME -- HOST/NAME:TAG` pushes an image to a registry, and prints the reference to pull it by.

    `--repository` and `--tag` do the same. Credentials are those of Docker's configuration; for Google's registries, where
    that has none, gcloud's. What the registry has is not sent again.

    Args:
      name: name of the target.
      image: an oci_image.
      repository: where to, unless the command line says.
      remote_tags: what to call it there, unless the command line says.
      referrers: files that are pushed as artifacts referring to the image, such as its bill of materials; what they are
        is in their names, NAME.cdx.json or NAME.spdx.json.
      **kwargs: what all targets take.
    """
    program(
        name = name,
        files = {Label("@crane//:crane"): "crane", image: "image"},
        kwargs = kwargs,
        lists = {"remote_tags": remote_tags},
        module = "push",
        referrers = referrers,
        texts = {"repository": repository},
    )
