"""The people who work in the clinic: their pages, and the opening of a clinic."""
