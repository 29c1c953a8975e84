"""Prints: asked for once, made by a worker, kept by the hash of what went in."""
