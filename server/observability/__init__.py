"""What the server tells of its calls: log lines, traces, metrics."""
