"""Which times can be given, and to whom."""
