"""Two results of studies compared: what changed from one to the other, and what difference that made."""
