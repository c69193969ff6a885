"""The container image, its way to Cloud Run, and what tests run it and push it with."""
