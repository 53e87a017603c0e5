"""HTTP pages for operators: status, metrics, who is online."""
