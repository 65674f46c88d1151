"""Data sets: reading them, splitting them, and keeping the prepared one on disk."""
