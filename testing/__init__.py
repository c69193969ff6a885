"""What tests and benchmarks of several packages use: programs under test, fakes, timeouts."""
