"""Loops over memory that torch would take several passes for, compiled by numba for this machine's processor."""
