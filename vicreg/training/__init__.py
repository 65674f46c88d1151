"""Pretraining: the loop, a step, batches of views, checkpoints and settings."""
