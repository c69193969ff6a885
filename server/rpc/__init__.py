"""What every call has: its limits, its error statuses, its record. It knows no service."""
