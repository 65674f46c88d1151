"""What the question of a study may be about, where it is not accuracy."""

COLLAPSE = "collapse"  # what collapses, and how
ABOUT = (COLLAPSE,)
