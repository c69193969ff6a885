"""Who calls: identity tokens and the keys that they are signed with."""
