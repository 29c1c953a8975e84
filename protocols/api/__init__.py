"""Ingredients, proposals and plans in the API."""
