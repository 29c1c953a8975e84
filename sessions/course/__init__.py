"""What a signed plan asks for: how many sessions, how far apart, what is injected, by whom."""
