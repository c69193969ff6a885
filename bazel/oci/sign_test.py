"""Tests of signed images with a real registry: what //deploy:push signs is verified, and everything else is refused."""

import base64
import http.client
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bazel.oci import cosign
from bazel.oci.cosign import Cosign
from bazel.oci.layout import Layout, digest
from bazel.oci.sign import Signer
from testing import oci_registry, programs
from testing.oci_registry import Registry

FOLDER = Path("bazel/oci").absolute()
PUSH, VERIFY = FOLDER / "sample_push", FOLDER / "sample_verify"
SBOM, PROVENANCE = FOLDER / "sample_sbom.cdx.json", FOLDER / "sample_provenance.slsa.json"
IMAGE = Layout(FOLDER / "sample")
DIGEST = IMAGE.reference()["digest"]
SOURCE = "https://example.com/some/calculator"
COSIGN, CRANE = (Path(os.environ[name]).absolute() for name in ("COSIGN", "CRANE"))
PASSWORD = "the password of the keys"
KMS_KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/7"

# A gcloud whose Cloud KMS has one key: a private key in a file.
GCLOUD = f"""#!{sys.executable}
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = serialization.load_pem_private_key(Path(__file__).with_name("kms.pem").read_bytes(), None)
flags = dict(word[2:].split("=", 1) for word in sys.argv if word.startswith("--"))
where = [flags[name] for name in ("project", "location", "keyring", "key")]
if sys.argv[1:3] == ["kms", "asymmetric-sign"]:
    assert [*where, flags["version"], flags["digest-algorithm"]] == ["p", "l", "r", "k", "7", "sha256"]
    signature = key.sign(Path(flags["input-file"]).read_bytes(), ec.ECDSA(hashes.SHA256()))
    Path(flags["signature-file"]).write_bytes(signature)
else:
    assert sys.argv[1:6] == ["kms", "keys", "versions", "get-public-key", "7"]
    if where != ["p", "l", "r", "k"]:
        sys.exit("ERROR: no such key")
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    Path(flags["output-file"]).write_bytes(pem)
"""


class Keys(NamedTuple):
    """A pair of keys, as paths."""

    private: Path
    public: Path


def _cosign(*arguments: str | Path, folder: Path) -> None:
    finished = programs.run([COSIGN, *arguments], folder, COSIGN_PASSWORD=PASSWORD)
    assert finished.returncode == 0, finished.stderr


def _new_keys(folder: Path) -> Keys:
    _cosign("generate-key-pair", folder=folder)
    return Keys(folder / "cosign.key", folder / "cosign.pub")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return _new_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with oci_registry.serving(tmp_path) as running:
        yield running


@pytest.fixture
def name(registry: Registry) -> str:
    """The name of the image in the registry, without tag and digest."""
    return f"{registry.host}/some/sample"


class Run(NamedTuple):
    """What a program has printed.

    Attributes:
        status: its exit status.
        lines: the lines of its standard output.
        error: its standard error.
    """

    status: int
    lines: list[str]
    error: str


def _run(program: Path, *arguments: str, **environment: str) -> Run:
    finished = programs.run([program, *arguments], **{"COSIGN_PASSWORD": PASSWORD} | environment)
    return Run(finished.returncode, finished.stdout.splitlines(), finished.stderr)


def _push(name: str, keys: Keys) -> None:
    pushed = _run(PUSH, f"{name}:v1", f"--sign={keys.private}")
    assert pushed.lines == [f"{name}:v1@{DIGEST}"], pushed.error


@pytest.fixture(scope="module")
def signed(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a signed image, v1, in a registry that the tests do not change."""
    with oci_registry.serving(tmp_path_factory.mktemp("registry")) as running:
        name = f"{running.host}/some/sample"
        _push(name, keys)
        yield name


def _verify(reference: str, keys: Keys, *arguments: str) -> Run:
    return _run(VERIFY, reference, f"--key={keys.public}", *arguments)


def _crane(*arguments: str | Path) -> str:
    finished = programs.run([CRANE, *arguments])
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def _sign(name: str, keys: Keys, attestations: Sequence[Path]) -> None:
    """Push the image and sign it with other attestations than the program does."""
    _crane("push", FOLDER / "sample", f"{name}:v1")
    signer = Signer(
        Cosign(COSIGN, FOLDER / "sigstore-kms-gcpkms"), str(keys.private), uses_log=False, attestations=attestations
    )
    signer.sign(f"{name}@{DIGEST}", {**os.environ, "COSIGN_PASSWORD": PASSWORD})


def _assert_refused(verified: Run, reason: str) -> None:
    """Check that the only output is one line on standard error, with the reason."""
    assert (verified.status, verified.lines) == (1, [])
    [line] = verified.error.splitlines()
    assert line.startswith("verify: ")
    assert reason in line


def test_a_signed_image_is_verified_by_its_tag_or_its_digest(signed: str, keys: Keys) -> None:
    for reference in (f"{signed}:v1", f"{signed}@{DIGEST}", f"{signed}:v1@{DIGEST}"):
        verified = _verify(reference, keys, f"--source={SOURCE}")
        assert verified.status == 0, verified.error
        assert verified.lines[0] == f"{signed}@{DIGEST}"
        assert [line.partition(":")[0] for line in verified.lines[1:]] == [
            "signature",
            "bill of materials",
            "provenance",
            "content",
        ]
        assert f" from git+{SOURCE}@0123456789abcdef0123456789abcdef01234567, with 1 lock files" in verified.lines[3]
        assert "attested, //bazel/oci:" in verified.lines[3]
        assert verified.error == ""


def test_the_image_is_signed_before_the_tag_appears(registry: Registry, name: str, keys: Keys) -> None:
    _push(name, keys)
    puts = [request.rpartition("/")[2] for request in registry.requests() if request.startswith("PUT ")]
    manifests = [last for last in puts if last == "v1" or last.startswith("sha256")]
    assert manifests[-1] == "v1"
    # A signature and two attestations, each of which is listed under the tag of the image's referrers, and the bill of
    # materials.
    assert manifests.count(DIGEST.replace(":", "-")) == 4


def test_the_provenance_names_the_builder_the_target_and_the_hash_of_the_lock(signed: str, keys: Keys) -> None:
    provenance = json.loads(PROVENANCE.read_text(encoding="utf-8"))
    assert provenance["buildDefinition"]["externalParameters"]["target"] == "//bazel/oci:sample"
    materials = provenance["buildDefinition"]["resolvedDependencies"]
    assert {
        "name": "WORKSPACE",
        "digest": {"sha256": digest(Path("WORKSPACE").read_bytes())[len("sha256:") :]},
    } in materials
    builder = provenance["runDetails"]["builder"]["id"]
    assert builder.startswith("acct:")
    assert _verify(f"{signed}:v1", keys, f"--builder={builder}").status == 0
    _assert_refused(
        _verify(f"{signed}:v1", keys, "--builder=acct:x@y"), f"the builder is {builder!r}: must be 'acct:x@y'"
    )


def test_another_key_is_refused(signed: str, tmp_path: Path) -> None:
    _assert_refused(_verify(f"{signed}:v1", _new_keys(tmp_path)), "no valid signature by ")


def test_another_source_is_refused(signed: str, keys: Keys) -> None:
    refused = _verify(f"{signed}:v1", keys, "--source=https://example.com/other")
    _assert_refused(refused, f"the source is {SOURCE!r}: must be 'https://example.com/other'")


def test_another_target_is_refused(signed: str, keys: Keys) -> None:
    _assert_refused(_verify(f"{signed}:v1", keys, "--target=//ingress:image"), "must be '//ingress:image'")


def test_an_image_without_a_signature_is_refused(name: str, keys: Keys) -> None:
    assert _run(PUSH, f"{name}:v1").status == 0
    _assert_refused(_verify(f"{name}:v1", keys), "no valid signature by ")


def test_attestations_alone_are_not_a_signature(name: str, keys: Keys, tmp_path: Path) -> None:
    _crane("push", FOLDER / "sample", f"{name}:v1")
    for file, type_ in ((SBOM, "cyclonedx"), (PROVENANCE, "slsaprovenance1")):
        attested = [f"--key={keys.private}", f"--type={type_}", f"--predicate={file}", f"{name}@{DIGEST}"]
        _cosign("attest", "--yes", *cosign.signing(tmp_path), *attested, folder=tmp_path)
    _assert_refused(_verify(f"{name}:v1", keys), "no valid signature by ")


@pytest.mark.parametrize(
    ("attested", "missing"),
    [([], "bill of materials"), ([PROVENANCE], "bill of materials"), ([SBOM], "provenance")],
)
def test_a_missing_attestation_is_refused(name: str, keys: Keys, attested: list[Path], missing: str) -> None:
    _sign(name, keys, attested)
    _assert_refused(_verify(f"{name}:v1", keys), f"no valid {missing} by ")


def test_an_attestation_by_another_key_is_refused(name: str, keys: Keys, tmp_path: Path) -> None:
    _sign(name, keys, [SBOM])
    _sign(name, _new_keys(tmp_path), [PROVENANCE])
    _assert_refused(_verify(f"{name}:v1", keys), "no valid provenance by ")


def _put_manifest(name: str, tag: str, content: bytes, media_type: str) -> None:
    host, _, path = name.partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("PUT", f"/v2/{path}/manifests/{tag}", content, {"Content-Type": media_type})
    assert connection.getresponse().status == http.HTTPStatus.CREATED
    connection.close()


def _append_layer(name: str, folder: Path) -> str:
    """Push the image with one more layer under the same tag, and return its digest."""
    (folder / "layer").mkdir()
    (folder / "layer/evil").write_text("evil\n", encoding="utf-8")
    layer = shutil.make_archive(str(folder / "layer"), "tar", folder / "layer")
    _crane("append", "--base", f"{name}@{DIGEST}", "--new_layer", layer, "--new_tag", f"{name}:v1")
    return _crane("digest", f"{name}:v1")


def test_another_image_under_the_same_tag_is_refused(name: str, keys: Keys, tmp_path: Path) -> None:
    _push(name, keys)
    assert _append_layer(name, tmp_path) != DIGEST
    _assert_refused(_verify(f"{name}:v1", keys), "no valid signature by ")
    assert _verify(f"{name}@{DIGEST}", keys).status == 0


def test_another_image_with_the_signature_of_the_image_is_refused(name: str, keys: Keys, tmp_path: Path) -> None:
    _push(name, keys)
    other = _append_layer(name, tmp_path)
    listed = _crane("manifest", f"{name}:{DIGEST.replace(':', '-')}").encode()
    _put_manifest(name, other.replace(":", "-"), listed, "application/vnd.oci.image.index.v1+json")
    _assert_refused(_verify(f"{name}:v1", keys), "no valid signature by ")


def test_a_layer_that_the_registry_has_changed_is_refused(name: str, keys: Keys, tmp_path: Path) -> None:
    _push(name, keys)
    hex_ = IMAGE.manifest()["layers"][0]["digest"].removeprefix("sha256:")
    blob = tmp_path / "data/docker/registry/v2/blobs/sha256" / hex_[:2] / hex_ / "data"
    content = bytearray(blob.read_bytes())
    content[-20] ^= 1
    blob.write_bytes(content)
    _assert_refused(_verify(f"{name}:v1", keys), "the content does not match its digest")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((SBOM, DIGEST, f"sha256:{'0' * 64}"), f"the bill of materials is that of sha256:{'0' * 64}"),
        ((SBOM, '"components"', '"services"'), "the bill of materials has no components"),
        ((PROVENANCE, "git+https", "git+http"), "must be the same commit"),
        ((PROVENANCE, "gitCommit", "sha1"), "must be the same commit"),
        ((PROVENANCE, '"sha256"', '"sha512"'), "the provenance has no lock files"),
        ((PROVENANCE, '"runDetails"', '"details"'), "malformed: KeyError('runDetails')"),
    ],
)
def test_an_attestation_with_another_content_is_refused(
    name: str, keys: Keys, tmp_path: Path, change: tuple[Path, str, str], reason: str
) -> None:
    file, old, new = change
    text = file.read_text(encoding="utf-8")
    assert old in text
    changed = tmp_path / file.name
    changed.write_text(text.replace(old, new), encoding="utf-8")
    _sign(name, keys, [changed, {SBOM: PROVENANCE, PROVENANCE: SBOM}[file]])
    _assert_refused(_verify(f"{name}:v1", keys), reason)


def test_one_of_several_provenances_is_enough(name: str, keys: Keys, tmp_path: Path) -> None:
    other = tmp_path / PROVENANCE.name
    other.write_text(PROVENANCE.read_text(encoding="utf-8").replace("acct:", "other:"), encoding="utf-8")
    _sign(name, keys, [SBOM, other])
    _push(name, keys)
    for prefix in ("acct:", "other:"):
        builder = json.loads(PROVENANCE.read_text(encoding="utf-8"))["runDetails"]["builder"]["id"]
        verified = _verify(f"{name}:v1", keys, f"--builder={builder.replace('acct:', prefix)}")
        assert verified.status == 0, verified.error


def test_an_image_that_does_not_name_its_commit_is_neither_signed_nor_pushed(
    registry: Registry, name: str, keys: Keys
) -> None:
    refused = _run(FOLDER / "unstamped_push", f"{name}:v1", f"--sign={keys.private}")
    assert (refused.status, refused.lines) == (1, [])
    reason = "an image is signed only if it names its commit"
    assert refused.error == f"push: {reason}: push with ./bazelw run --config=release, or without --sign\n"
    assert registry.requests() == []


def test_with_a_wrong_password_the_image_gets_no_tag(name: str, keys: Keys) -> None:
    failed = _run(PUSH, f"{name}:v1", f"--sign={keys.private}", COSIGN_PASSWORD="another one")
    assert (failed.status, failed.lines) == (1, [])
    assert "decryption failed" in failed.error
    assert failed.error.splitlines()[-1].startswith(f"push: {name} has the image, but without a complete signature")
    assert "another one" not in failed.error
    assert programs.run([CRANE, "digest", f"{name}:v1"]).returncode != 0


def test_the_path_of_a_key_is_relative_to_the_folder_in_which_the_command_was_typed(name: str, keys: Keys) -> None:
    here = {"BUILD_WORKING_DIRECTORY": str(keys.private.parent)}
    pushed = _run(PUSH, f"{name}:v1", "--sign=cosign.key", **here)
    assert pushed.status == 0, pushed.error
    verified = _run(VERIFY, f"{name}:v1", "--key=cosign.pub", **here)
    assert verified.status == 0, verified.error


def test_a_key_in_googles_cloud_kms_signs_and_verifies(name: str, keys: Keys, tmp_path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "kms.pem").write_bytes(pem)
    (tmp_path / "gcloud").write_text(GCLOUD, encoding="utf-8")
    (tmp_path / "gcloud").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    pushed = _run(PUSH, f"{name}:v1", f"--sign=gcpkms://{KMS_KEY}", **environment)
    assert pushed.status == 0, pushed.error
    verified = _run(VERIFY, f"{name}:v1", f"--key=gcpkms://{KMS_KEY}", **environment)
    assert verified.status == 0, verified.error
    _assert_refused(_verify(f"{name}:v1", keys), "no valid signature by ")
    other = _run(PUSH, f"{name}:v1", f"--sign=gcpkms://{KMS_KEY.replace('/k/', '/other/')}", **environment)
    assert "gcloud failed: ERROR: no such key" in other.error
    no_version = _run(PUSH, f"{name}:v1", f"--sign=gcpkms://{KMS_KEY.partition('/versions')[0]}", **environment)
    assert "is not the version of a key: must be gcpkms://" in no_version.error


def test_the_credentials_of_docker_are_used(tmp_path: Path, keys: Keys) -> None:
    with oci_registry.serving(tmp_path, needs_password=True) as private:
        token = base64.b64encode(f"{oci_registry.USER}:{oci_registry.PASSWORD}".encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": token}}}), encoding="utf-8")
        name = f"{private.host}/some/sample"
        environment = {"DOCKER_CONFIG": str(tmp_path)}
        pushed = _run(PUSH, f"{name}:v1", f"--sign={keys.private}", **environment)
        assert pushed.status == 0, pushed.error
        verified = _run(VERIFY, f"{name}:v1", f"--key={keys.public}", **environment)
        assert verified.status == 0, verified.error


def test_a_signature_without_a_key_needs_sigstore_and_does_not_take_the_reference_for_a_key(
    name: str, tmp_path: Path
) -> None:
    """Without a network, cosign cannot reach Sigstore. What it would do there is not tested."""
    failed = _run(PUSH, "--sign", f"{name}:v1", **programs.BROKEN_PROXY, HOME=str(tmp_path))
    assert failed.status == 1
    assert "sigstore.dev" in failed.error, failed.error
    assert failed.error.splitlines()[-1].startswith(f"push: {name} has the image, but without a complete signature")


def test_an_unknown_image_or_registry_is_refused(name: str, keys: Keys) -> None:
    _assert_refused(_verify(f"{name}:v2", keys), "MANIFEST_UNKNOWN")
    _assert_refused(_verify("127.0.0.1:1/some/sample:v1", keys), "connection refused")


@pytest.mark.parametrize(
    ("program", "arguments", "complaint"),
    [
        (PUSH, ["localhost:1/x", "--sign=nothing.key"], "'nothing.key' is not a key: must be a file, or the URI"),
        (PUSH, ["localhost:1/x", "--sign="], "'' is not a key: must be a file, or the URI"),
        (VERIFY, ["localhost:1/x:v1"], "use either --key, or --identity and --issuer"),
        (PUSH, ["localhost:1/x:v1", "--transparency-log"], "--transparency-log needs --sign=KEY"),
        (VERIFY, ["localhost:1/x:v1", "--identity=me@example.com"], "use either --key, or --identity and --issuer"),
        (VERIFY, ["localhost:1/x", "--key=k://1"], "'localhost:1/x' is not valid: must be HOST/NAME:TAG or HOST"),
        (VERIFY, ["localhost:1/x@sha256:1", "--key=k://1"], "'localhost:1/x@sha256:1' is not valid: must be HOST/NAME"),
        (VERIFY, ["sample:v1", "--key=k://1"], "'sample:v1' is not a valid reference"),
    ],
)
def test_an_invalid_argument_is_an_error_that_says_what_is_accepted(
    program: Path, arguments: list[str], complaint: str
) -> None:
    failed = _run(program, *arguments)
    assert (failed.status, failed.lines) == (2, [])
    assert complaint in failed.error
