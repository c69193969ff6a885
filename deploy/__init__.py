"""The container, and its way to Cloud Run."""
