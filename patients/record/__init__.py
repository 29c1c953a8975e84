"""A person’s record: details, and the strip over every page."""
