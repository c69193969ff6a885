"""Call handling shared by all services: limits, error statuses, records."""
