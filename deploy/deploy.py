"""//deploy: pushes the images, signs them with --sign, and deploys them to Cloud Run with gcloud.

bazel run //deploy -- --project PROJECT --region REGION [--sign=KEY] [--dry-run]
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bazel.oci import push, sign
from bazel.oci.cosign import Cosign, CosignError
from bazel.oci.layout import Layout

# https://cloud.google.com/resource-manager/docs/creating-managing-projects, …/run/docs/deploying.
_PROJECT = re.compile(r"([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]{1,2}")
_SERVICE = re.compile(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?")
_ACCOUNT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_EMAIL = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+")
_MOST_INSTANCES = 1000
# Container name -> suffix of its image's name, which is the service's name plus this suffix.
_CONTAINERS = {"server": "", "ingress": "-ingress"}


def _matching(pattern: re.Pattern[str], accepted: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not valid: must be {accepted}")
        return text

    return check


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _MOST_INSTANCES:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: must be 0 to {_MOST_INSTANCES}")
    return int(text)


@dataclass(frozen=True)
class _Container:
    """A container of the service.

    Attributes:
        artifact: its image, the image's bill of materials, and what the image is signed with.
        repository: the repository that the image is pushed to.
    """

    artifact: push.Artifact
    repository: str

    @property
    def reference(self) -> str:
        """The reference of the pushed image, by digest."""
        return f"{self.repository}@{Layout(self.artifact.image).reference()['digest']}"


@dataclass(frozen=True)
class _Service:
    """A deployment of the service.

    Attributes:
        name: the name of the service.
        project: the Google Cloud project.
        region: the region.
        containers: the containers, by name.
        manifest: the manifest of the service, in YAML.
    """

    name: str
    project: str
    region: str
    containers: Mapping[str, _Container]
    manifest: str

    def commands(self, file: str) -> tuple[list[str], list[str]]:
        """Return the command that replaces the service with a manifest, and the command that prints its URL."""
        where = ["--project", self.project, "--region", self.region]
        services = ["gcloud", "run", "services"]
        replace = [*services, "replace", file, *where]
        return replace, [*services, "describe", self.name, *where, "--format", "value(status.url)"]


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy", description="Push the images and deploy them to Cloud Run.")
    project = _matching(
        _PROJECT, "6 to 30 lowercase letters, digits and '-', starting with a letter, such as my-project"
    )
    parser.add_argument("--project", type=project, required=True, help="the Google Cloud project")
    region = _matching(_REGION, "a region, such as europe-west1")
    parser.add_argument("--region", type=region, required=True, help="the region, such as europe-west1")
    name = _matching(_SERVICE, "1 to 49 lowercase letters, digits and '-', starting with a letter")
    parser.add_argument("--service", type=name, default="calculator", help="the service (default: calculator)")
    parser.add_argument(
        "--repository", type=name, default="calculator", help="the Artifact Registry repository (default: calculator)"
    )
    account = _matching(_EMAIL, "the email address of a service account")
    parser.add_argument(
        "--service-account",
        type=account,
        help="the account that the service runs as (default: SERVICE@PROJECT.iam…)",
    )
    parser.add_argument("--min-instances", type=_count, default=0, help="minimum number of instances (default: 0)")
    parser.add_argument("--max-instances", type=_count, default=3, help="maximum number of instances (default: 3)")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the commands and the manifest, without running anything"
    )
    sign.add_flags(parser)
    files = [f"{container}-{file}" for container in _CONTAINERS for file in ("image", "provenance", "sbom")]
    for hidden in ("cosign", "crane", "kms", "template", *files):
        parser.add_argument(f"--{hidden}-path", type=Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args(sign.words(words))
    sign.check(parser, arguments)
    if not arguments.service_account and not _ACCOUNT.fullmatch(arguments.service):
        parser.error(
            f"--service={arguments.service} cannot be used as the service account's name,"
            " which needs 6 to 30 characters: set --service-account"
        )
    if arguments.max_instances < max(1, arguments.min_instances):
        parser.error(f"--max-instances={arguments.max_instances}: must be at least 1 and at least --min-instances")
    return arguments


def _service(arguments: argparse.Namespace) -> _Service:
    # The project example.com:my-project is example.com/my-project in the name of an image, and my-project.example.com
    # in that of an account: https://cloud.google.com/artifact-registry/docs/docker/names#domain
    domain, _, project = arguments.project.rpartition(":")
    registry = "/".join(filter(None, [f"{arguments.region}-docker.pkg.dev", domain, project, arguments.repository]))
    accounts = ".".join(filter(None, [project, domain, "iam.gserviceaccount.com"]))
    files, cosign = vars(arguments), Cosign(arguments.cosign_path, arguments.kms_path)
    containers = {
        name: _Container(
            push.Artifact(
                files[f"{name}_image_path"],
                [files[f"{name}_sbom_path"]],
                sign.signer(arguments, cosign, [files[f"{name}_sbom_path"]], files[f"{name}_provenance_path"]),
            ),
            f"{registry}/{arguments.service}{suffix}",
        )
        for name, suffix in _CONTAINERS.items()
    }
    manifest = Template(arguments.template_path.read_text(encoding="utf-8")).substitute(
        {f"{name}_image": container.reference for name, container in containers.items()},
        max_instances=arguments.max_instances,
        min_instances=arguments.min_instances,
        service=arguments.service,
        service_account=arguments.service_account or f"{arguments.service}@{accounts}",
    )
    return _Service(arguments.service, arguments.project, arguments.region, containers, manifest)


def _print(service: _Service) -> None:
    """Print what `_deploy` would do."""
    for container in service.containers.values():
        print(f"crane push IMAGE {container.reference}, with its bill of materials")
        if container.artifact.signer:
            print(f"cosign sign {container.reference}, with its bill of materials and its provenance")
    for command in service.commands("service.yaml"):
        print(shlex.join(command))
    print(f"\nservice.yaml:\n{service.manifest}", end="")


def _deploy(service: _Service, crane: Path) -> None:
    """Push the images, replace the service, and print how to call it."""
    for container in service.containers.values():
        push.push(crane, container.artifact, container.repository, [])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "service.yaml")
        file.write_text(service.manifest, encoding="utf-8")
        replace, describe = service.commands(str(file))
        subprocess.run(replace, check=True)  # gcloud waits until the new revision is ready
        url = subprocess.check_output(describe, text=True).strip()
    host = url.removeprefix("https://")
    print(f"{url}\n\n  ./bazelw run //client -- --target {host} add 2 3")
    print(f'  grpcurl -H "authorization: Bearer $(gcloud auth print-identity-token)" {host}:443 list')


def main(words: Sequence[str]) -> int:
    """Deploy the service; return 1 if that failed."""
    arguments = _arguments(words)
    try:
        service = _service(arguments)
    except sign.UnstampedError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    if arguments.dry_run:
        _print(service)
        return 0
    if not shutil.which("gcloud"):  # before anything is pushed
        print("deploy: gcloud is not on PATH: see https://cloud.google.com/sdk/docs/install", file=sys.stderr)
        return 1
    try:
        _deploy(service, arguments.crane_path)
    except subprocess.CalledProcessError as error:
        program = Path(error.cmd[0]).name
        hint = "check that the project and the repository exist, and that you may use them"
        print(f"deploy: {program} failed, see above; {hint}", file=sys.stderr)
        return 1
    except (push.ConfigError, CosignError, OSError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
