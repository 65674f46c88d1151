"""Runs: their identity, the store that keeps them, and the function that executes them."""
