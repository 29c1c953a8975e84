"""Log-in and what goes with it: password again, the second factor, what was sent after the end."""
