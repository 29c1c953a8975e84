"""Visits on paper: what to draw up, labels, what was done, and papers by mail."""
