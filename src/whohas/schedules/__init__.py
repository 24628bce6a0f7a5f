"""Schedules: reports that start at set times."""
