"""Rules: one method per command that a client or an app's server sends."""
