"""The pages of the formulary and of plans: load, ask, act, render."""
