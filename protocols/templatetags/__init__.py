"""Tags for plans and ingredients."""
