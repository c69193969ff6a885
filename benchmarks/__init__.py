"""What is measured, by hand: bazel run //benchmarks:NAME."""
