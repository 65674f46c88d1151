"""Runs: their identity, their store, and the function that executes them."""
