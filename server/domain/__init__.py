"""What the calculator computes: numbers, expressions, statistics, distances. It knows no protocol."""
