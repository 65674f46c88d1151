"""Pair each figure of a study with its title and table."""
