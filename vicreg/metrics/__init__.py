"""Measure features: collapse, accuracy and k-NN."""
