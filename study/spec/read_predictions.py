"""Reads the predictions of a study's file.

    predictions:
      - {says: Without the variance term embeddings shrink to a point., arms: [1-0-0, 25-0-1], ends: complete}
      - {says: At 0.8 accuracy is higher., arms: [lr-0.8], is: better}
      - {says: All come within two points., arms: [byol, simclr], difference: [-2, 2]}

`says` stands in the hypothesis word by word, so that what was expected is one text. `arms` are those it speaks of. Then
comes one of `ends` (collapse types, or `collapsed` for any), `is` (what the comparison with the baseline decides) and
`difference` (from the baseline, in points of the accuracy that is compared; null for no bound).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from study.spec.about import COLLAPSES, DECIDED
from study.spec.keys import check_keys
from study.spec.predictions import Prediction
from vicreg.errors import InputError
from vicreg.evaluation.collapse_diagnosis import HEALTHY

COLLAPSED = "collapsed"  # any of `COLLAPSES`
_KINDS = ("ends", "is", "difference")


def read_predictions(where: str, content: Mapping[str, Any], arms: Sequence[str]) -> tuple[Prediction, ...]:
    """Return the predictions that a study's file lists; none where it lists none.

    Args:
        where: the file's name, which begins the sentence on a wrong value.
        content: of the file, with `hypothesis` and `baseline`.
        arms: names that a prediction may speak of.

    Raises:
        InputError: for what is no prediction.
    """
    where, given = f"{where}: predictions", content.get("predictions")
    hypothesis, baseline = " ".join(content["hypothesis"].split()), content["baseline"]
    if given is None:
        return ()
    if not isinstance(given, list) or not given:
        raise InputError(f"{where} must list at least one prediction, or be left out, but got {given!r}.")
    return tuple(
        _prediction(f"{where}, number {number}", one, hypothesis, arms, baseline) for number, one in enumerate(given, 1)
    )


def _prediction(where: str, given: Any, hypothesis: str, arms: Sequence[str], baseline: str) -> Prediction:
    if not isinstance(given, dict):
        raise InputError(f"{where} must hold says, arms and one of {', '.join(_KINDS)}, but holds {given!r}.")
    check_keys(where, given, ("says", "arms", *_KINDS))
    says = " ".join(given["says"].split()) if isinstance(given.get("says"), str) else ""
    if not says or says not in hypothesis:
        raise InputError(f"{where}: says must be words of the hypothesis, but is {given.get('says')!r}; copy them.")
    named = given.get("arms")
    if not isinstance(named, list) or not named:
        raise InputError(f"{where}: arms must list at least one arm, but got {named!r}.")
    names = tuple(map(str, named))
    check_keys(f"{where}: arms", names, arms)
    kinds = [kind for kind in _KINDS if kind in given]
    if len(kinds) != 1:
        raise InputError(f"{where} must hold one of {', '.join(_KINDS)}, but holds {', '.join(kinds) or 'none'}.")
    if kinds != ["ends"] and baseline in names:
        raise InputError(f"{where}: arms may not name the baseline {baseline!r}, which is compared with itself; delete it.")
    if kinds == ["ends"]:
        ends = _names(f"{where}: ends", given["ends"], (HEALTHY, COLLAPSED, *COLLAPSES))
        return Prediction(says=says, arms=names, ends=COLLAPSES if ends == (COLLAPSED,) else ends)
    if kinds == ["is"]:
        return Prediction(says=says, arms=names, decided=_names(f"{where}: is", given["is"], DECIDED))
    least, most = _bounds(f"{where}: difference", given["difference"])
    return Prediction(says=says, arms=names, least=least, most=most)


def _names(where: str, given: Any, known: Sequence[str]) -> tuple[str, ...]:
    """Return one name or several, each one of those known."""
    names = given if isinstance(given, list) else [given]
    if not names or any(not isinstance(name, str) for name in names):
        raise InputError(f"{where} must be one or more of {', '.join(known)}, but got {given!r}.")
    check_keys(where, names, known)
    return tuple(names)


def _bounds(where: str, given: Any) -> tuple[float | None, float | None]:
    """Return two bounds in points as shares."""
    rule = "must be two numbers of points, the smaller first, such as [-2, 2], or null for one of them"
    if not isinstance(given, list) or len(given) != 2 or given == [None, None]:
        raise InputError(f"{where} {rule}, but got {given!r}.")
    for bound in given:
        if bound is not None and (type(bound) not in (int, float) or not math.isfinite(bound) or abs(bound) > 100):
            raise InputError(f"{where} {rule}, but got {given!r}.")
    low, high = (None if bound is None else bound / 100 for bound in given)
    if low is not None and high is not None and low >= high:
        raise InputError(f"{where} {rule}, but got {given!r}.")
    return low, high
