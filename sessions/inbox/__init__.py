"""What patients answer, and what the clinic does about it."""
