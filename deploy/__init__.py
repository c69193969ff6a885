"""The container image, and what its tests run it and push it with."""
