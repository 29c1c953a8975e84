"""What everybody stands on and nothing clinical is in: errors, guards, numbers, names, texts."""
