"""The session itself: what was injected, recorded once."""
