"""An intake: how it asks, what its answers mean, what they make for the engine."""
