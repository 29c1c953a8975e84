"""What stands on the shelf, by lot."""
