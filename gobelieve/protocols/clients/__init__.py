"""Connections of clients: TCP, WebSocket and Engine.IO."""
