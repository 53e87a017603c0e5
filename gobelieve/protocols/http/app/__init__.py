"""HTTP routes for an app's users, groups and messages."""
