"""The pages about patients: load, ask, act, render."""
