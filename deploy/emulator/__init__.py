"""Cloud Run on one's own machine."""
