"""The commands that README.md and docs/ show do what they say, and every target that the documents name exists."""

import os
import re
import shlex
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
FILES = [path for folder in (Path(), Path("docs")) for path in sorted(folder.glob("*.md"))]
DOCUMENTS = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
# What docs/image.md shows is for image_document_test.py, what docs/cloud-run.md for deploy/emulator/emulator_test.py,
# what docs/performance.md and docs/scaling.md for benchmarks/.
ELSEWHERE = ("cloud-run.md", "image.md", "performance.md", "scaling.md")
SHOWN = Document("\n".join(path.read_text(encoding="utf-8") for path in FILES if path.name not in ELSEWHERE))


TYPESCRIPT = Path("client/ts/ts").absolute()
WEB = Path("deploy/emulator/page").absolute()


@pytest.fixture(scope="module")
def server() -> Iterator[programs.Server]:
    """The server, on a port of its own: where the README says 50051, the tests say that."""
    with programs.serving() as running:
        yield running


def test_no_console_block_shows_a_command_that_is_not_tested_here() -> None:
    tested = [
        *SHOWN.of("./bazelw", "run", "//server"),
        *SHOWN.of("./bazelw", "run", "//client", "--"),
        *SHOWN.of("./bazelw", "run", "//client/ts", "--"),
        *SHOWN.of("./bazelw", "run", "//web"),
        *SHOWN.of("./bazelw", "test", "//..."),
        *SHOWN.of("grpcurl"),
        *SHOWN.of("env"),
    ]
    assert [session.command for session in SHOWN.sessions if session not in tested] == []


def test_the_server_says_what_is_shown(server: programs.Server) -> None:
    [session] = [session for session in SHOWN.sessions if session.command == ["./bazelw", "run", "//server"]]
    time = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    shown = re.sub(time, "", session.output.rstrip()).replace("50051", str(server.port))
    assert [re.sub(time, "", line) for line in server.log[:1]] == [shown]


@pytest.mark.parametrize("session", SHOWN.of("./bazelw", "run", "//server", "--"), ids=str)
def test_the_server_takes_the_flags_that_are_shown(session: Session) -> None:
    with programs.serving(*session.command[4:]) as running:
        assert running.port


@pytest.mark.parametrize("session", SHOWN.of("env"), ids=str)
def test_the_server_takes_the_environment_that_is_shown(session: Session) -> None:
    *variables, bazelw, run, target = session.command[1:]
    assert (bazelw, run, target) == ("./bazelw", "run", "//server")
    with programs.serving(**dict(variable.split("=", 1) for variable in variables)) as running:
        assert running.port


@pytest.mark.parametrize("session", SHOWN.of("./bazelw", "run", "//client"), ids=str)
def test_the_client_prints_what_is_shown(server: programs.Server, session: Session) -> None:
    finished = programs.run([programs.CLIENT, "--target", server.address, *session.command[4:]])
    assert finished.stdout + finished.stderr == session.output


@pytest.mark.parametrize("session", SHOWN.of("./bazelw", "run", "//client/ts"), ids=str)
def test_the_client_in_typescript_prints_what_is_shown(server: programs.Server, session: Session) -> None:
    finished = programs.run([TYPESCRIPT, "--target", server.address, *session.command[4:]])
    assert finished.stdout + finished.stderr == session.output


def test_the_page_is_where_it_is_said_to_be() -> None:
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


def test_a_program_calls_the_server_as_is_shown(server: programs.Server) -> None:
    [example] = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    program = example.replace("localhost:50051", server.address)
    called = programs.run([sys.executable, "-c", program], PYTHONPATH=os.pathsep.join([str(Path.cwd()), *sys.path]))
    assert (called.stdout, called.stderr) == ("42.0\n", "")


def test_a_program_in_typescript_calls_the_server_as_is_shown() -> None:
    text = Path("docs/languages.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```typescript\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert Path("client/ts/example.ts").read_text(encoding="utf-8").endswith("\n\n" + shown)
    with programs.serving(PORT="50051"):  # a test's loopback is its own
        called = programs.run(["client/ts/example"])
    assert (called.stdout, called.stderr) == ("42\n", "")


def test_the_limits_are_those_that_the_server_says_it_has() -> None:
    rows = re.findall(r"^\| `(--[\w-]+)` \| (\d+)", DOCUMENTS, re.MULTILINE)
    text = " ".join(programs.run([programs.SERVER, "--help"]).stdout.split())
    assert len(rows) > 5
    for flag, default in rows:
        assert re.search(rf"{flag} [A-Z]+ [^\]]*\[default: {default}\]", text), flag


def test_no_figure_is_left_to_be_measured() -> None:
    assert not re.findall(r"[A-Z]+_ANSWER", README)


def test_continuous_integration_runs_the_test_command_that_is_shown() -> None:
    [session] = SHOWN.of("./bazelw", "test")
    words = shlex.split(Path(".ci/run").read_text(encoding="utf-8").splitlines()[-1])
    assert [word for word in words if not word.startswith("--")] == session.command


def test_every_target_that_is_named_exists() -> None:
    # Not those in quotes, which are part of an example, nor the addresses of pages.
    for package, name in re.findall(r"""(?<![\w:"])//(?![\w/]*\.\.\.)(\w[\w/]*)(?::(\w+))?""", DOCUMENTS):
        build = Path(package, "BUILD.bazel").read_text(encoding="utf-8")
        is_test = name.endswith("_test") and Path(package, f"{name}.py").exists()  # which py_tests declares
        assert is_test or f'name = "{name or Path(package).name}"' in build, f"//{package}:{name}"


# Serves the example's servicer, and asks it twice. Its argument is the timeout of a call in seconds.
ASK = """
import sys
from concurrent import futures

import grpc
from roots.v1 import roots_pb2, roots_pb2_grpc
from server.rpc.interceptor import CallInterceptor
from servicer import RootsServicer

server = grpc.server(futures.ThreadPoolExecutor(), interceptors=[CallInterceptor(10, 60)])
roots_pb2_grpc.add_RootsServiceServicer_to_server(RootsServicer(), server)
port = server.add_insecure_port("localhost:0")
server.start()
timeout = float(sys.argv[1])
with grpc.insecure_channel(f"localhost:{port}") as channel:
    stub = roots_pb2_grpc.RootsServiceStub(channel)
    print(stub.SquareRoot(roots_pb2.SquareRootRequest(number=49), timeout=timeout).root)
    try:
        stub.SquareRoot(roots_pb2.SquareRootRequest(number=-4), timeout=timeout)
    except grpc.RpcError as error:
        print(error.code().name, error.details())
server.stop(None).wait()
"""


def _example(name: str) -> str:
    [text] = re.findall(rf"`{re.escape(name)}`(?:(?!\n\n).)*\n\n   ```\w+\n(.*?)   ```", README, re.DOTALL)
    return textwrap.dedent(text)


def test_the_service_that_is_added_in_five_minutes_answers(tmp_path: Path) -> None:
    (tmp_path / "roots/v1").mkdir(parents=True)
    (tmp_path / "roots/v1/roots.proto").write_text(_example("proto/roots/v1/roots.proto"), encoding="utf-8")
    (tmp_path / "servicer.py").write_text(_example("server/services/roots.py"), encoding="utf-8")
    outputs = [f"--{plugin}_out={tmp_path}" for plugin in ("python", "grpc_python", "es")]
    plugin = "--plugin=protoc-gen-es=tools/protoc/protoc_gen_es"
    made = programs.run(["tools/protoc/protoc", f"-I{tmp_path}", plugin, *outputs, "roots/v1/roots.proto"])
    assert made.returncode == 0, made.stderr
    assert "export declare const RootsService" in (tmp_path / "roots/v1/roots_pb.d.ts").read_text(encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(Path.cwd()), *sys.path])
    asked = programs.run([sys.executable, "-c", ASK, str(timeouts.SECONDS)], PYTHONPATH=path)
    assert asked.stdout == "7.0\nINVALID_ARGUMENT number is -4: accepted from 0 up\n", asked.stderr


def _words(build: str) -> str:
    """Return a BUILD file without what may differ: its first line, and how it is broken into lines."""
    return re.sub(r'^""".*?"""|\s|,(?=\s*\))', "", build)


def test_its_build_file_is_like_those_that_are_there() -> None:
    there = Path("proto/calculator/v1/BUILD.bazel").read_text(encoding="utf-8")
    assert _words(_example("proto/roots/v1/BUILD.bazel")) == _words(there).replace("calculator", "roots")
