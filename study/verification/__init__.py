"""Checks reported results: planned anew, compared with the store, run again."""
