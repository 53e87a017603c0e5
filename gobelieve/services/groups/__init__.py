"""Groups and relations of the app, kept up to date with its database."""
