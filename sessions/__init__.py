"""When it is done and what was done: hours, courses, visits, mails, answers, calendar."""
