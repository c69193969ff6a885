"""The fuzzer runs, and reports what it finds."""

from testing import programs


def test_some_thousand_inputs_have_no_finding() -> None:
    fuzzed = programs.run(["nggrpc/fuzz", "-runs=3000", "-seed=1"])
    assert fuzzed.returncode == 0, fuzzed.stderr
    assert "Done 3000 runs" in fuzzed.stderr
