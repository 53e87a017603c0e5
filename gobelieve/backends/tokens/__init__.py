"""Login tokens: signed ones are checked, random ones are made."""
