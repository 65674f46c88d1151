"""Which images runs were trained on, in words: all, or all but those held out for choices."""

from study.results.schema import ArmResults, StudyResults

TRAIN_ON = "pretrain.train_on"
ALL, TRAIN = "all", "train"


def training_text(*, train: int, validation: int, train_on: str) -> str:
    """Return which training images runs saw: `trained on all 50,000 training images`.

    Args:
        train, validation: images of these splits, which are disjoint.
        train_on: the setting of this name.
    """
    whole = train + validation
    if train_on == ALL:
        return f"trained on all {whole:,} training images"
    return f"{validation:,} of {whole:,} training images held out for choices"


def trained_on(study: StudyResults, arm: ArmResults) -> str:
    """Return the setting of an arm. Files of earlier versions do not name it, and held validation out."""
    held_out = arm.role in ("trial", "tuning")  # something is chosen by them
    return TRAIN if held_out else str({**study.recipe, **arm.settings}.get(TRAIN_ON, TRAIN))


def training_of(study: StudyResults) -> str:
    """Return which training images the runs of a study saw that its table shows, in words."""
    counts = {"train": study.data.train, "validation": study.data.validation}
    shown = {trained_on(study, arm) for arm in study.arms if arm.role in ("arm", "step")}
    if len(shown) == 1:
        return training_text(**counts, train_on=shown.pop())
    held_out = training_text(**counts, train_on=TRAIN)
    return f"{held_out}, in other arms trained on too"


def saw_validation(study: StudyResults) -> bool:
    """Return whether an arm was trained on the validation images."""
    return any(trained_on(study, arm) == ALL for arm in study.arms)
