"""What every part of the API shares: its published schema, and who one is."""
