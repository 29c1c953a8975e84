"""When a site and its people are there: hours, holidays, rooms, absences, abilities."""
