"""Reports of clients, such as sync keys, collected and written behind."""
