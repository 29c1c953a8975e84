"""What a plan rests on, what it says, and whether it can be signed."""
