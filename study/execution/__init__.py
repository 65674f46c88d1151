"""Brings the runs of a study to their end, and shows how they stand."""
