"""Messages of older programs: storage's older clients, and what clients no longer send."""
