"""The pushes to phones: the users who get one, and the lists of the push workers."""
