"""Observability: logs, traces and metrics."""
