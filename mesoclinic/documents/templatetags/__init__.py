"""Tags of the templates of prints."""
