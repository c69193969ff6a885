"""The domain logic, independent of any protocol: arithmetic, expressions, statistics, distances."""
