"""The client's side of the protocol, without network and clock."""
