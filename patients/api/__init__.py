"""Patients and statements in the API."""
