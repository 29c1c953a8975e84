"""The starter formulary as data files, and their loader. A proposal for review: a director confirms it before use."""
