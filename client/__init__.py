"""The client library: channels, credentials, conversations, and texts for failures."""
