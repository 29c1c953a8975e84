"""The plan on paper, and its signed copy as a file."""
