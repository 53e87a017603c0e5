"""The format of records, and the names of files."""
