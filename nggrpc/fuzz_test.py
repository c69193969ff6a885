"""A short run of the fuzzer."""

from testing import programs


def test_the_fuzzer_finds_nothing_in_3000_inputs() -> None:
    fuzzed = programs.run(["nggrpc/fuzz", "-runs=3000", "-seed=1"])
    assert fuzzed.returncode == 0, fuzzed.stderr
    assert "Done 3000 runs" in fuzzed.stderr
