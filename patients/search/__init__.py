"""Find people as they are spoken of, and records that may be the same person."""
