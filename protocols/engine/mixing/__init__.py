"""What is mixed: which ingredients, in which syringes, at which doses, in parts that can be drawn."""
