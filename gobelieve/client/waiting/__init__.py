"""Messages, acks and events that wait for the program, and calls that wait for them."""
