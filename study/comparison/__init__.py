"""Compares two results of studies: what changed, and what that did."""
