"""What may be done: the formulary, the engine’s proposals, the plans that practitioners sign."""
