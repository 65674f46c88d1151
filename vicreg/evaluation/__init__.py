"""Evaluate trained networks: probes, and the kind of a collapse."""
