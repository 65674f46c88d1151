"""Designs: what runs next depends on how earlier runs came out."""
