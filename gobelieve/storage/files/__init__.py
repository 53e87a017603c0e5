"""The block files: appending to them, and reading them with and without the right to write."""
