"""What the question of a study may be about, where it is not accuracy, and names of how arms may come out."""

from vicreg.evaluation.collapse_criteria import CHANCE_LEVEL, VIEW_DEPENDENT

COLLAPSE = "collapse"  # what collapses, and how
ABOUT = (COLLAPSE,)
COLLAPSES = ("complete", "dimensional", "informational", VIEW_DEPENDENT, CHANCE_LEVEL)  # collapse types
BETTER, WORSE, EQUIVALENT = DECIDED = ("better", "worse", "equivalent")  # than or to the baseline, by the margin
COST = "cost"  # an objective of a search, which is lowest where it is best
