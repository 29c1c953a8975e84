"""The calendar: what its address asks for, what is read, where it stands on the page."""
