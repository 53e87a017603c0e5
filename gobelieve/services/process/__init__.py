"""The process: options, start, signals, ports, the log and the memory."""
