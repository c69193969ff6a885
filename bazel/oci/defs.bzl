"""Container images, built without a container engine and byte-for-byte reproducible.

Attributes have the same names as in rules_oci. `stale`, `referrers`, `provenance`, oci_compressed_layer,
oci_layer, oci_provenance, oci_sbom, oci_verify and py_image_layers are additions.
"""

load("//bazel/oci/private:image.bzl", "oci_image_rule", _oci_compressed_layer = "oci_compressed_layer")
load("//bazel/oci/private:layers.bzl", _oci_layer = "oci_layer", _py_image_layers = "py_image_layers")
load("//bazel/oci/private:program.bzl", "program")
load("//bazel/oci/private:provenance.bzl", "oci_provenance_rule")
load("//bazel/oci/private:sbom.bzl", _oci_sbom = "oci_sbom")

oci_compressed_layer = _oci_compressed_layer
oci_layer = _oci_layer
oci_sbom = _oci_sbom
py_image_layers = _py_image_layers

_STAMP = select({
    Label("//bazel:is_stamped"): True,
    "//conditions:default": False,
})
_COSIGN = {
    Label("//bazel/oci:sigstore-kms-gcpkms"): "kms",
    Label("@cosign//:cosign"): "cosign",
    Label("@crane//:crane"): "crane",
}

def oci_image(name, **kwargs):
    """Builds an image as an OCI layout: a folder that skopeo, crane and podman can read.

    `bazel run :NAME.report` prints the layers and the largest files.

    With --stamp, a key of Bazel's workspace status, such as {STABLE_REVISION}, is replaced by its value in annotations
    and labels. Without --stamp, annotations and labels with a key are left out.

    Args:
      name: name of the target.
      **kwargs: annotations, architecture, cmd, entrypoint, env, exposed_ports, labels, os, tars, user, workdir: as in
        rules_oci. `tars` are the layers, the lowest first: uncompressed, or from oci_compressed_layer. `stale` are
        files that list pins of Debian packages that were not used: if one is not empty, --config=release fails.
    """
    oci_image_rule(
        name = name,
        stamp = _STAMP,
        **kwargs
    )
    program(
        name = name + ".report",
        files = {name: "image"},
        kwargs = {key: kwargs[key] for key in ["target_compatible_with", "testonly", "visibility"] if key in kwargs},
        module = "report",
    )

def oci_load(name, image, repo_tags, **kwargs):
    """`bazel run :NAME` loads an image into Docker or podman. `-- --engine podman` selects the engine.

    Args:
      name: name of the target.
      image: an oci_image.
      repo_tags: names of the image in the engine, such as `calculator:latest`.
      **kwargs: attributes that all targets have.
    """
    program(
        name = name,
        files = {image: "image"},
        kwargs = kwargs,
        lists = {"repo_tags": repo_tags},
        module = "load",
    )

def oci_provenance(name, image, stamp = _STAMP, **kwargs):
    """Writes the provenance of an image as a SLSA predicate: NAME.slsa.json, for `provenance` of oci_push.

    It names the target, the options, the lock files and, with --stamp, the builder and the commit.
    The commit is that of the image's annotations org.opencontainers.image.source and .revision. The builder is
    STABLE_BUILDER of Bazel's workspace status, or else the account that runs Bazel.

    Args:
      name: name of the target.
      image: an oci_image.
      stamp: whether to read the builder from the workspace status.
      **kwargs: `locks`, the files that pin what the image is built from, and attributes that all targets have.
    """
    oci_provenance_rule(
        name = name,
        image = image,
        stamp = stamp,
        **kwargs
    )

def oci_push(name, image, provenance, repository = "", remote_tags = [], referrers = [], **kwargs):
    """`bazel run :NAME -- HOST/NAME:TAG` pushes an image to a registry, and prints the reference to pull.

    `--repository` and `--tag` do the same. With `--sign` or `--sign=KEY`, cosign signs the image and attests the
    referrers and the provenance; the image must be built with --config=release, so that it names its commit. Credentials come from Docker's configuration or, for Google's registries
    without an entry there, from gcloud. Layers that the registry already has are not sent again.

    Args:
      name: name of the target.
      image: an oci_image.
      provenance: the image's oci_provenance.
      repository: the repository to push to, unless the command line has one.
      remote_tags: tags in the repository, unless the command line has tags.
      referrers: files to push as artifacts that refer to the image, such as its bill of materials. Their suffix gives
        their type: NAME.cdx.json or NAME.spdx.json.
      **kwargs: attributes that all targets have.
    """
    program(
        name = name,
        files = _COSIGN | {image: "image", provenance: "provenance"},
        kwargs = kwargs,
        lists = {"remote_tags": remote_tags},
        module = "push",
        record = "Target",
        referrers = referrers,
        texts = {"repository": repository},
    )

def oci_verify(name, **kwargs):
    """`bazel run :NAME -- REFERENCE` verifies what oci_push has signed: signature, attestations and layers.

    Args:
      name: name of the target.
      **kwargs: attributes that all targets have.
    """
    program(
        name = name,
        files = _COSIGN,
        kwargs = kwargs,
        module = "verify",
    )
