"""What is measured, by hand: bazel run //benchmarks, and //benchmarks:NAME."""
