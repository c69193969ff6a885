"""The client library: channels, credentials, conversations, and descriptions of failed calls."""
