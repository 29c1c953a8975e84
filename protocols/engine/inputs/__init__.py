"""What the engine reads: the documents of a formulary as tables, a patient's case, the clinic's policy."""
