"""Files of messages: appended to, read, and only looked at."""
