"""What applies to every call of any service: limits, error statuses, records."""
