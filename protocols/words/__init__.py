"""Sentences made from the engine’s codes, in the language that is active."""
