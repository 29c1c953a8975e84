"""What was said in words that no fact holds, and what it was settled as."""
