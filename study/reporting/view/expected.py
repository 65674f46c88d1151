"""What a study expected, prediction by prediction, and how each came out."""

from typing import Any

from study.analysis.predictions import judge_predictions
from study.analysis.wording import capitalised, in_terms_of_methods
from study.results.schema import StudyResults
from study.spec.predictions import beside


def expected_view(study: StudyResults) -> dict[str, Any]:
    """Return the hypothesis, its predictions with verdicts and numbers, and what of it no prediction has."""
    of_methods = study.methods is not None and study.methods.is_one_an_arm
    rows = [
        {
            "verdict": capitalised(one.verdict),
            "says": f"{capitalised(one.says.rstrip('.,;'))}.",
            "because": in_terms_of_methods(one.because) if of_methods else one.because,
        }
        for one in judge_predictions(study)
    ]
    return {
        "hypothesis": study.hypothesis,
        "predictions": rows,
        "also_expected": beside(study.hypothesis, study.predictions or ()),
        "predicted_after": bool(study.predicted_after),
    }
