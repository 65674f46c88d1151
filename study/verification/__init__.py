"""Whether reported results hold: planned anew, compared with the store, and run again."""
