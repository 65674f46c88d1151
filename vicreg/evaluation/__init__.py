"""What is measured of a trained network: its probes, and the kind of its collapse."""
