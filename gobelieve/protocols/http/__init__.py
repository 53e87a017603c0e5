"""HTTP: the site, its router, and the declarations of routes."""
