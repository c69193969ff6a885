"""The prose of all files: words and phrases that were hard to read do not come back. typos checks the spelling."""

import re
from pathlib import Path

import pytest

# Each phrase, in lower case, with what to write instead.
PHRASES = {
    "patience": "timeout",
    "whoever": "the caller, the operator, clients that ...",
    "anew": "again",
    "doorkeeper": "authenticator",
    "at one go": "at once",
    "99 of 100": "p99",
    "least to most": "min-max",
    "besides": "in addition to",
    "made up": "fake, invalid, unknown",
    "stand-in": "fake",
    "to be had": "available",
    "of ours": "our",
    "calls a second": "calls/s",
    "by grpc": "over gRPC",
    "by otlp": "over OTLP",
    "by http": "over HTTP",
    "some thousand": "a few thousand",
    "some microseconds": "a few microseconds",
}
# "by gRPC's threads" is correct, so a phrase does not count before an apostrophe.
FOUND = re.compile(rf"\b({'|'.join(PHRASES)})\b(?!')", re.IGNORECASE)
THIS = "tests/repository/prose_test.py"


def _files() -> list[Path]:
    suffixes = {
        ".bazel",
        ".bzl",
        ".css",
        ".go",
        ".html",
        ".js",
        ".lua",
        ".md",
        ".mjs",
        ".proto",
        ".py",
        ".sh",
        ".tf",
        ".ts",
        ".yaml",
        ".yml",
    }
    names = {".bazelrc", "WORKSPACE", "bazelw", "run", "CODEOWNERS", "Dockerfile"}
    files = [file for file in Path().rglob("*") if file.suffix in suffixes or file.name in names]
    return [file for file in files if file.is_file() and "_stubs/" not in str(file) and str(file) != THIS]


def _found(text: str) -> list[str]:
    return [f"{phrase!r}: write {PHRASES[phrase]}" for phrase in map(str.lower, FOUND.findall(text))]


def test_no_file_has_a_phrase_that_was_hard_to_read() -> None:
    files = _files()
    assert len(files) > 300
    found = {str(file): _found(file.read_text(encoding="utf-8")) for file in files if file.parts[0] != "external"}
    assert {file: phrases for file, phrases in found.items() if phrases} == {}


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_is_found_however_it_is_written(phrase: str) -> None:
    assert _found(f"It is {phrase.upper()}.")
    assert not _found(f"x{phrase}")
