"""The status pages and metrics of each daemon."""
