"""Tests of README.md and docs/: the commands do what is shown, and every target that is named exists."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing import programs, timeouts
from testing.documents import Document, Session

README = Path("README.md").read_text(encoding="utf-8")
ADDING = Path("docs/guides/add-a-service.md").read_text(encoding="utf-8")
FILES = [*sorted(Path().glob("*.md")), *sorted(Path("docs").rglob("*.md"))]
DOCUMENTS = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
# Other tests check these documents: image_document_test.py, deploy/emulator/emulator_test.py, and those of benchmarks/.
ELSEWHERE = ("image.md", "release.md", "emulator.md", "performance.md", "scaling.md")
SHOWN = Document("\n".join(path.read_text(encoding="utf-8") for path in FILES if path.name not in ELSEWHERE))


GO = Path("client/go/go").absolute()
TYPESCRIPT = Path("client/ts/ts").absolute()
WEB = Path("deploy/emulator/page").absolute()


@pytest.fixture(scope="module")
def server() -> Iterator[programs.Server]:
    """A server on a free port, which the tests put in place of the port 50051 in the documents."""
    with programs.serving() as running:
        yield running


def test_no_console_block_shows_a_command_that_is_not_tested_here() -> None:
    tested = [
        *SHOWN.of("./bazelw", "run", "//server"),
        *SHOWN.of("./bazelw", "run", "//client", "--"),
        *SHOWN.of("./bazelw", "run", "//client/go", "--"),
        *SHOWN.of("./bazelw", "run", "//client/ts", "--"),
        *SHOWN.of("./bazelw", "run", "//web"),
        *SHOWN.of("./bazelw", "test", "//..."),
        *SHOWN.of("grpcurl"),
        *SHOWN.of("env"),
    ]
    assert [session.command for session in SHOWN.sessions if session not in tested] == []


def _assert_logged(server: programs.Server, session: Session) -> None:
    """Assert that the log of a server begins with the output of a session, except for the time and the port."""
    time = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    shown = [re.sub(time, "", line).replace("50051", str(server.port)) for line in session.output.splitlines()]
    assert [re.sub(time, "", line) for line in server.log[: len(shown)]] == shown


def test_the_server_logs_what_is_shown(server: programs.Server) -> None:
    [session] = [session for session in SHOWN.sessions if session.command == ["./bazelw", "run", "//server"]]
    assert session.output
    _assert_logged(server, session)


@pytest.mark.parametrize("session", SHOWN.of("./bazelw", "run", "//server", "--"), ids=str)
def test_the_server_accepts_the_flags_that_are_shown(session: Session) -> None:
    with programs.serving(*session.command[4:]) as running:
        assert running.port
        _assert_logged(running, session)


@pytest.mark.parametrize("session", SHOWN.of("env"), ids=str)
def test_the_server_accepts_the_environment_that_is_shown(session: Session) -> None:
    *variables, bazelw, run, target = session.command[1:]
    assert (bazelw, run, target) == ("./bazelw", "run", "//server")
    with programs.serving(**dict(variable.split("=", 1) for variable in variables)) as running:
        assert running.port


@pytest.mark.parametrize("session", SHOWN.of("./bazelw", "run", "//client"), ids=str)
def test_the_client_prints_what_is_shown(server: programs.Server, session: Session) -> None:
    finished = programs.run([programs.CLIENT, "--target", server.address, *session.command[4:]])
    assert finished.stdout + finished.stderr == session.output


@pytest.mark.parametrize("session", SHOWN.of("./bazelw", "run", "//client/ts"), ids=str)
def test_the_typescript_client_prints_what_is_shown(server: programs.Server, session: Session) -> None:
    finished = programs.run([TYPESCRIPT, "--target", server.address, *session.command[4:]])
    assert finished.stdout + finished.stderr == session.output


@pytest.mark.parametrize("session", SHOWN.of("./bazelw", "run", "//client/go"), ids=str)
def test_the_go_client_prints_what_is_shown(server: programs.Server, session: Session) -> None:
    finished = programs.run([GO, "--target", server.address, *session.command[4:]])
    assert finished.stdout + finished.stderr == session.output


def test_the_page_is_served_at_the_address_that_is_shown() -> None:
    [session] = SHOWN.of("./bazelw", "run", "//web")
    paths = ["--ingress-path=ingress/ingress", "--server-path=server/server"]
    with programs.started([WEB, *paths, "--port=0"], stdout=subprocess.PIPE) as program:
        assert re.sub(r":\d+", ":8080", programs.read_until(program)) == session.output
        program.send_signal(signal.SIGINT)
        assert program.wait(timeouts.SECONDS) == 0


@pytest.mark.parametrize("session", SHOWN.of("grpcurl"), ids=str)
def test_grpcurl_prints_what_is_shown(server: programs.Server, session: Session) -> None:
    arguments = [word.replace("localhost:50051", server.address) for word in session.command[1:]]
    finished = programs.run([programs.grpcurl(), *arguments], folder="proto")
    assert finished.stdout + finished.stderr == session.output


def test_the_python_example_calls_the_server(server: programs.Server) -> None:
    [example] = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    program = example.replace("localhost:50051", server.address)
    called = programs.run([sys.executable, "-c", program], PYTHONPATH=os.pathsep.join([str(Path.cwd()), *sys.path]))
    assert (called.stdout, called.stderr) == ("42.0\n", "")


def test_the_typescript_example_calls_the_server() -> None:
    text = Path("docs/guides/languages.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```typescript\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert Path("client/ts/example.ts").read_text(encoding="utf-8").endswith("\n\n" + shown)
    with programs.serving(PORT="50051"):  # the sandbox gives each test its own loopback interface
        called = programs.run(["client/ts/example"])
    assert (called.stdout, called.stderr) == ("42\n", "")


def test_the_go_example_calls_the_server() -> None:
    with programs.serving(PORT="50051"):
        called = programs.run(["client/go/example/example"])
    assert (called.stdout, called.stderr) == ("42\n", "")


def test_go_code_in_the_documentation_is_part_of_a_file() -> None:
    files = [file.read_text(encoding="utf-8") for folder in ("client", "server") for file in Path(folder).rglob("*.go")]
    shown = re.findall(r"^```go\n(.*?)^```", DOCUMENTS, re.MULTILINE | re.DOTALL)
    assert shown
    for code in shown:
        assert any(code in file for file in files), code


def test_the_documented_defaults_are_those_in_the_help_of_the_server() -> None:
    rows = re.findall(r"^\| `(--[\w-]+)` \| (\d+)", DOCUMENTS, re.MULTILINE)
    text = " ".join(programs.run([programs.SERVER, "--help"]).stdout.split())
    assert len(rows) > 5
    for flag, default in rows:
        assert re.search(rf"{flag} [A-Z]+ [^\]]*\[default: {default}\]", text), flag


def test_the_table_of_flags_is_the_help_of_the_server() -> None:
    text = programs.run([programs.SERVER, "--help"], COLUMNS="500").stdout
    flags = re.findall(r"^  (--\S+(?: [A-Z]+)?)\s+(\S.*)$", text, re.MULTILINE)
    expected = "".join(f"| `{flag}` | {meaning} |\n" for flag, meaning in flags)
    assert expected in Path("docs/reference/flags.md").read_text(encoding="utf-8"), expected


def test_no_placeholder_of_a_figure_is_left() -> None:
    assert not re.findall(r"[A-Z]+_ANSWER", README)


def test_continuous_integration_runs_the_test_command_that_is_shown() -> None:
    [session] = SHOWN.of("./bazelw", "test")
    lines = Path(".ci/run").read_text(encoding="utf-8").splitlines()
    commands = [[word for word in line.split() if not word.startswith(("--", '"$'))] for line in lines]
    assert session.command in commands


def _anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", [*FILES, Path("server/README.md"), Path("nggrpc/README.md")], ids=str)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_every_target_that_is_named_exists() -> None:
    # Skip targets in quotes, which are part of an example, and URLs.
    for package, name in re.findall(r"""(?<![\w:"])//(?![\w/]*\.\.\.)(\w[\w/]*)(?::(\w+))?""", DOCUMENTS):
        build = Path(package, "BUILD.bazel").read_text(encoding="utf-8")
        is_test = name.endswith("_test") and Path(package, f"{name}.py").exists()  # declared by py_tests
        assert is_test or f'name = "{name or Path(package).name}"' in build, f"//{package}:{name}"


# Adds the service of the example to the server, and calls it twice. The argument is the timeout of a call in seconds.
CALL = """
import sys

import grpc
from roots.v1 import roots_pb2, roots_pb2_grpc
from server import app
from server.config import Config
from server.services import registry
from server.services.registry import Service
from servicer import RootsServicer

registry.SERVICES = (*registry.SERVICES, REGISTRATION)
server = app.build(Config(port=0))
server.server.start()
timeout = float(sys.argv[1])
with grpc.insecure_channel(f"localhost:{server.address.rpartition(':')[2]}") as channel:
    stub = roots_pb2_grpc.RootsServiceStub(channel)
    print(stub.SquareRoot(roots_pb2.SquareRootRequest(number=49), timeout=timeout).root)
    try:
        stub.SquareRoot(roots_pb2.SquareRootRequest(number=-4), timeout=timeout)
    except grpc.RpcError as error:
        print(error.code().name, error.details())
server.drain(0)
"""


def _example(name: str) -> str:
    [text] = re.findall(rf"`{re.escape(name)}`(?:(?!\n\n).)*\n\n   ```\w+\n(.*?)   ```", ADDING, re.DOTALL)
    return textwrap.dedent(text)


def test_the_service_of_the_example_answers(tmp_path: Path) -> None:
    (tmp_path / "roots/v1").mkdir(parents=True)
    (tmp_path / "roots/v1/roots.proto").write_text(_example("proto/roots/v1/roots.proto"), encoding="utf-8")
    (tmp_path / "servicer.py").write_text(_example("server/services/roots.py"), encoding="utf-8")
    outputs = [f"--{plugin}_out={tmp_path}" for plugin in ("python", "grpc_python", "es")]
    plugin = "--plugin=protoc-gen-es=tools/protoc/protoc_gen_es"
    made = programs.run(["tools/protoc/protoc", f"-I{tmp_path}", plugin, *outputs, "roots/v1/roots.proto"])
    assert made.returncode == 0, made.stderr
    assert "export declare const RootsService" in (tmp_path / "roots/v1/roots_pb.d.ts").read_text(encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(Path.cwd()), *sys.path])
    [registration] = re.findall(r"`(Service\(.*?\))`", ADDING)
    program = CALL.replace("REGISTRATION", registration)
    called = programs.run([sys.executable, "-c", program, str(timeouts.SECONDS)], PYTHONPATH=path)
    assert called.stdout == "7.0\nINVALID_ARGUMENT number is -4: must be at least 0\n", called.stderr


def _words(build: str) -> str:
    """Return a BUILD file without the parts that may differ: its docstring and its line breaks."""
    return re.sub(r'^""".*?"""|\s|,(?=\s*\))', "", build)


def test_the_build_file_of_the_example_is_like_the_existing_ones() -> None:
    there = Path("proto/calculator/v1/BUILD.bazel").read_text(encoding="utf-8")
    expected = _words(there).replace("calculator", "roots").replace('"roots/proto/', '"calculator/proto/')
    assert _words(_example("proto/roots/v1/BUILD.bazel")) == expected
