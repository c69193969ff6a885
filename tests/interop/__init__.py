"""Interoperability: gRPC's official TestService over our serving stack, called by peers that share no code with it."""
