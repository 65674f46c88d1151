"""At what scale the embeddings of an arm are judged."""

from study.analysis.wording import agree, first_of, name_of
from study.results.methods import METHOD, VICREG, EmbeddingScale
from study.results.schema import ArmResults, StudyResults

MOST_NAMED = 2  # arms in a sentence


def embedding_scale(arm: ArmResults, results: StudyResults) -> EmbeddingScale | None:
    """Return the scale at which an arm's embeddings are judged, None where it is not known.

    It is what the arm's loss drives them to. Where the term that sets a scale is switched off, it is the scale that the
    method sets in the study's other arms: one name is then given to one outcome, a std near zero.
    """
    own = _recorded(arm, results)
    if own is None or own.target_std is not None:
        return own
    others = {
        scale.target_std
        for other in results.arms
        if results.method_of(other) == results.method_of(arm)
        and (scale := _recorded(other, results)) is not None
        and scale.target_std is not None
    }
    return EmbeddingScale(target_std=others.pop()) if len(others) == 1 else own


def has_lost_scale(arm: ArmResults, results: StudyResults) -> bool:
    """Return whether an arm's loss sets no scale, but its method's loss does in other arms, at which it is judged."""
    own, judged = _recorded(arm, results), embedding_scale(arm, results)
    return own is not None and own.target_std is None and judged is not None and judged.target_std is not None


def scale_notes(results: StudyResults) -> list[str]:
    """Return which arms are judged at a scale that their own loss does not set."""
    names = [name_of(arm.label) for arm in results.arms if not arm.is_control and has_lost_scale(arm, results)]
    if not names:
        return []
    whose = agree(len(names), "Its", "Their")
    return [
        f"The term that sets the embeddings' scale is off in {first_of(names, MOST_NAMED)}. "
        f"{whose} std is judged by the scale that the method sets in other arms."
    ]


def _recorded(arm: ArmResults, results: StudyResults) -> EmbeddingScale | None:
    """Return what an arm's loss drives its embeddings to, None where that is not known.

    Of results that do not record it, VICReg's have it as gamma. A short key of the recipe is the recipe's method's, so gamma
    is read from there where that is VICReg too.
    """
    if arm.embedding_scale is not None:
        return arm.embedding_scale
    settings = {**results.recipe, **arm.settings}
    if {results.recipe.get(METHOD, VICREG), results.method_of(arm)} != {VICREG}:
        return None
    gamma = settings.get(f"pretrain.{VICREG}.gamma", settings.get("pretrain.gamma"))
    return None if gamma is None else EmbeddingScale(target_std=gamma)
