"""Who is treated: their record, what an intake asks and says, and what was said in words."""
