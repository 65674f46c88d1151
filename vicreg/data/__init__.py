"""Data sets: reading, splitting, and keeping them on disk."""
