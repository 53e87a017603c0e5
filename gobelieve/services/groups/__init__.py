"""Groups and relations, kept up to date from their database's changes."""
