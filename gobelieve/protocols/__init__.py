"""Twisted I/O: bytes to frames and back, for every link of the system."""
