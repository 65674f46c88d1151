"""What is published: the source paper's numbers and claims, and those of others."""

from study.ablate import parse_arguments
from study.analysis.vicreg_terms import published_coefficients
from study.paper.claims.judge import BY_STUDY, judge
from study.spec.study_file import available
from tests.study.made_up_paper import PAPER, PUBLISHED


def test_the_numbers_are_those_of_the_paper():
    assert [(one.dataset, one.study, one.linear) for one in PAPER.numbers] == [
        ("cifar10", "source-recipe", 76.67), ("cifar100", "source-recipe", 51.22),
        ("cifar10", "generalisation", 84.67), ("cifar100", "generalisation", 66.75),
    ]  # fmt: skip
    assert PAPER.source == 'Ben Salem, "Self-Supervised Learning of Visual representations"'
    assert PAPER.probe_settings == {"evaluate.linear.epochs": 100, "evaluate.linear.lr": [0.01]}
    settings = {key.removeprefix("pretrain."): value for key, value in PAPER.settings.items()}
    given = {
        "backbone": "resnet34", "width": 64, "expander": [2048, 2048, 2048], "epochs": 100, "batch_size": 128,
        "optimizer": "lars", "weight_decay": 1e-5, "base_lr": 0.2, "warmup_epochs": 10, "start_lr": 0.0, "end_lr": 0.002,
        "lambda": 25, "mu": 25, "nu": 1,
    }  # fmt: skip
    assert given.items() <= settings.items()


def test_the_claims_are_those_of_the_paper_and_every_study_they_name_exists():
    assert list(PAPER.claims) == [
        "epochs", "batch-size-accuracy", "batch-size-stability", "scale", "collapse", "tsne-classes", "tsne-trucks",
        "generalises", "imagenet-stability",
    ]  # fmt: skip
    assert "+2 points" in PAPER.claims["epochs"] and "256 instead of 128" in PAPER.claims["batch-size-accuracy"]
    assert set(PAPER.places) <= {*PAPER.claims, *(one.id for one in PAPER.numbers)}
    studies = {name for one in PAPER.numbers for name in one.studies} | {one.study for one in PAPER.silent}
    studies |= {name for names, _ in BY_STUDY.values() for name in names}
    assert studies | {row.study for row in judge({}, [], PAPER)} <= {*available(), "project"}
    for study in studies:
        parse_arguments(["--study", study])


def series(source, dataset=None):
    (found,) = [one for one in PUBLISHED.field if one.source.startswith(source) and one.dataset == dataset]
    return found


def test_every_published_series_names_its_source_its_protocol_and_what_it_varies():
    for one in PUBLISHED.field:
        assert one.source and one.protocol and one.varies and one.rows
        assert (one.settings is None) == (one.probe is None)
        assert all(isinstance(value, float) for value in one.rows.values())
    coefficients = published_coefficients()
    assert coefficients["source"] and coefficients["protocol"]


def test_the_numbers_of_the_vicreg_paper_are_published():
    table = published_coefficients()["rows"]
    rows = {(row["lambda"], row["mu"], row["nu"]): row.get("linear", "collapse") for row in table}
    assert rows == {
        (1, 0, 0): "collapse", (25, 0, 1): "collapse", (0, 25, 1): "collapse", (1, 1, 0): 57.5, (1, 1, 1): "collapse",
        (1, 10, 1): "collapse", (10, 1, 1): "collapse", (5, 5, 1): 68.1, (10, 10, 1): 68.2, (25, 25, 1): 68.6,
        (50, 50, 1): 68.3,
    }  # fmt: skip
    vicreg = "arXiv 2105.04906, "
    assert series(f"{vicreg}Table 13").rows == {128: 67.3, 256: 67.9, 512: 68.2, 1024: 68.3, 2048: 68.6, 4096: 67.8}
    assert series(f"{vicreg}Table 12").rows == {
        256: 55.9, 512: 59.2, 1024: 62.4, 2048: 65.1, 4096: 67.3, 8192: 68.6, 16384: 68.8,
    }  # fmt: skip
    rates = series(f"{vicreg}Appendix C.4")
    assert rates.rows == {128: 0.8, 256: 0.5, 512: 0.4} and "0.3 for all others" in rates.protocol
    assert series(f"{vicreg}Section 5").rows == {100: 68.6, 1000: 73.2}
    assert series(f"{vicreg}ablation").rows == {"standardised": 68.4, "l2-normalised": 65.1}


def test_the_numbers_of_others_on_both_sets_are_published():
    names = ("vicreg", "barlow_twins", "simclr", "byol", "simsiam", "mocov2", "swav")
    for dataset, values in (
        ("cifar10", (92.07, 92.10, 90.74, 92.58, 90.51, 92.94, 89.17)),
        ("cifar100", (68.54, 70.90, 65.78, 70.46, 66.04, 69.89, 64.88)),
    ):
        one = series("solo-learn", dataset)
        assert one.rows == dict(zip(names, values, strict=True)) and "1000 epochs, batch 256" in one.protocol
    assert series("EMP-SSL", "cifar10").rows == {1: 40.6, 10: 69.7, 30: 78.1, 1000: 92.1}
    assert series("EMP-SSL", "cifar100").rows == {1: 7.9, 10: 31.9, 30: 47.9, 1000: 68.5}
    awesome = series("awesomeslayer", "cifar10").rows
    assert awesome == {256: 70.35, 128: 68.18, 64: 55.69, 32: 37.37, 16: 34.28, 8: 36.57}
    assert series("AdityaaP27", "cifar10").rows == {"all": 71.66}
