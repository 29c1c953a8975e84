"""The sample clinic: its invented patients, and the story told of them through the actions that people use."""
