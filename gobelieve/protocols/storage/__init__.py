"""The link between a gateway and storage, with the ports of storage."""
