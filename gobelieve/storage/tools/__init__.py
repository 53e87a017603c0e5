"""Tools for a directory that no daemon uses: verify, repair, copy and show."""
