"""Executors, one a module, behind the interface in `base`."""
