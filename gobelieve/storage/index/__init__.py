"""The heads of all queues: in memory, read from the blocks, and kept in a snapshot."""
