"""Benchmarks: messages per second, and the CPU time of each message in every daemon."""
