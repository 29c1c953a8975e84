"""Tags for visits."""
