"""Checks, timings and the source paper's recipe, on a GPU that is rented for minutes."""
