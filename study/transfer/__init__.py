"""Copies finished runs between stores, by way of any address that fsspec knows."""
