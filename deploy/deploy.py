"""//deploy: pushes the images, and puts them on Cloud Run by gcloud.

bazel run //deploy -- --project PROJECT --region REGION [--dry-run]
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template

from bazel.oci import push
from bazel.oci.layout import Layout

# https://cloud.google.com/resource-manager/docs/creating-managing-projects, …/run/docs/deploying.
_PROJECT = re.compile(r"([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]{1,2}")
_SERVICE = re.compile(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?")
_ACCOUNT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_EMAIL = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+")
_MOST_INSTANCES = 1000
# The containers of the service, each with what its image is called behind the name of the service.
_CONTAINERS = {"server": "", "ingress": "-ingress"}


def _matching(pattern: re.Pattern[str], accepted: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not one: {accepted}")
        return text

    return check


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _MOST_INSTANCES:
        raise argparse.ArgumentTypeError(f"{text!r} is not accepted: whole numbers to {_MOST_INSTANCES} are")
    return int(text)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy", description="Push the images, and put them on Cloud Run.")
    project = _matching(_PROJECT, "accepted are 6 to 30 small letters, digits and '-', such as my-project")
    parser.add_argument("--project", type=project, required=True, help="the Google Cloud project")
    region = _matching(_REGION, "accepted is a region, such as europe-west1")
    parser.add_argument("--region", type=region, required=True, help="the region, such as europe-west1")
    name = _matching(_SERVICE, "accepted are up to 49 small letters, digits and '-'")
    parser.add_argument("--service", type=name, default="calculator", help="its name (default: calculator)")
    parser.add_argument(
        "--repository", type=name, default="calculator", help="of Artifact Registry (default: calculator)"
    )
    account = _matching(_EMAIL, "accepted is the e-mail address of a service account")
    parser.add_argument("--service-account", type=account, help="whom it runs as (default: SERVICE@PROJECT.iam…)")
    parser.add_argument("--min-instances", type=_count, default=0, help="that are always there (default: 0)")
    parser.add_argument("--max-instances", type=_count, default=3, help="that there may be (default: 3)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    files = [f"{container}-{file}" for container in _CONTAINERS for file in ("image", "sbom")]
    for hidden in ("crane", "template", *files):
        parser.add_argument(f"--{hidden}-path", type=Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if not arguments.service_account and not _ACCOUNT.fullmatch(arguments.service):
        parser.error(f"--service is {arguments.service}: such an account cannot be; name one by --service-account")
    if arguments.max_instances < max(1, arguments.min_instances):
        parser.error(f"--max-instances is {arguments.max_instances}: accepted is 1, or --min-instances, or more")
    return arguments


def _repositories(arguments: argparse.Namespace) -> dict[str, str]:
    """Return where the image of each container is pushed to."""
    registry = f"{arguments.region}-docker.pkg.dev/{arguments.project}/{arguments.repository}"
    return {container: f"{registry}/{arguments.service}{suffix}" for container, suffix in _CONTAINERS.items()}


def _images(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the reference of each container's image, by digest."""
    return {
        container: f"{repository}@{Layout(_path(arguments, container, 'image')).reference()['digest']}"
        for container, repository in _repositories(arguments).items()
    }


def _path(arguments: argparse.Namespace, container: str, file: str) -> Path:
    path: Path = getattr(arguments, f"{container}_{file}_path")
    return path


def _render(arguments: argparse.Namespace, images: Mapping[str, str]) -> str:
    """Return the service as Cloud Run reads it: service.yaml, filled in."""
    default = f"{arguments.service}@{arguments.project}.iam.gserviceaccount.com"
    return Template(arguments.template_path.read_text(encoding="utf-8")).substitute(
        {f"{container}_image": image for container, image in images.items()},
        max_instances=arguments.max_instances,
        min_instances=arguments.min_instances,
        service=arguments.service,
        service_account=arguments.service_account or default,
    )


def _commands(arguments: argparse.Namespace, file: str) -> tuple[list[str], list[str]]:
    """Return the command that replaces the service by what is in a file, and the one that prints its URL."""
    where = ["--project", arguments.project, "--region", arguments.region]
    services = ["gcloud", "run", "services"]
    replace = [*services, "replace", file, *where]
    return replace, [*services, "describe", arguments.service, *where, "--format", "value(status.url)"]


def _print(arguments: argparse.Namespace, images: Mapping[str, str], service: str) -> None:
    """Print what `_deploy` would do."""
    for image in images.values():
        print(f"crane push IMAGE {image}, and a bill of materials beside it")
    for command in _commands(arguments, "service.yaml"):
        print(shlex.join(command))
    print(f"\nservice.yaml:\n{service}", end="")


def _deploy(arguments: argparse.Namespace, service: str) -> None:
    """Push the images, replace the service, and print how to call it."""
    for container, repository in _repositories(arguments).items():
        image, sbom = (_path(arguments, container, file) for file in ("image", "sbom"))
        push.push(arguments.crane_path, image, repository, [], [sbom])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "service.yaml")
        file.write_text(service, encoding="utf-8")
        replace, describe = _commands(arguments, str(file))
        subprocess.run(replace, check=True)  # which waits until the new revision serves
        url = subprocess.check_output(describe, text=True).strip()
    host = url.removeprefix("https://")
    print(f"{url}\n\n  ./bazelw run //client -- --target {host} add 2 3")
    print(f'  grpcurl -H "authorization: Bearer $(gcloud auth print-identity-token)" {host}:443 list')


def main(words: Sequence[str]) -> int:
    """Deploy; return 1 if a program that this takes failed."""
    arguments = _arguments(words)
    images = _images(arguments)
    service = _render(arguments, images)
    if arguments.dry_run:
        _print(arguments, images, service)
        return 0
    if not shutil.which("gcloud"):  # before anything is pushed
        print("deploy: there is no gcloud on PATH: see https://cloud.google.com/sdk/docs/install", file=sys.stderr)
        return 1
    try:
        _deploy(arguments, service)
    except subprocess.CalledProcessError as error:
        program = Path(error.cmd[0]).name
        print(f"deploy: {program} failed, see above; are project and repository there, and yours?", file=sys.stderr)
        return 1
    except (push.ConfigError, OSError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
