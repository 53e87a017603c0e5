"""Group messages: one copy for each member's queue, retried until stored."""
