"""LARS, and the learning rate of each step."""
