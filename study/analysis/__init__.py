"""Statistics of a study, and what follows from them in sentences."""
