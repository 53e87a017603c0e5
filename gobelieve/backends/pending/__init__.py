"""Group messages that some members' queues do not have yet, kept on disk."""
