"""Mails to patients: their kinds, their words, when each is owed and may leave."""
