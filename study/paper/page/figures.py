"""The page's figures: loss curves, the longer run and the map."""

from collections.abc import Sequence
from typing import TypedDict

from study.analysis.wording import count_of
from study.paper.evidence import ResultsByStudy, arms_of, described, nearest, nearest_map, recipe_arm
from study.paper.page.commands import command_of
from study.paper.protocol import EARLIER, data_of, dataset_of, settings_of
from study.paper.published import RECIPE, SourcePaper
from study.paper.wording import setting_text
from study.projection.results import Projection
from study.reporting.figures import curves
from study.reporting.format import figure_of, plain, short
from study.reporting.names import measure_name
from study.reporting.panels.lines import histories, in_percent, lines_table, style_of, trace
from study.reporting.panels.maps import MapView, map_view
from study.reporting.panels.panel import Panel, make_panel
from study.results.schema import ArmResults, StudyResults
from study.results.training_images import ALL, TRAIN_ON

COLLAPSE = {
    "rankme_representations": "RankMe, repr.", "rankme_embeddings": "RankMe, emb.", "std_mean_embeddings": "std, emb.",
    "rms_correlation_embeddings": "rms correlation, emb.", "normalised_std_embeddings": "normalised std, emb.",
}  # fmt: skip
LOSSES = (  # title, and what is logged -> its name on the line
    (
        "The three terms, weighted by 25, 25 and 1",
        {
            "weighted_invariance": "invariance, weighted", "weighted_variance": "variance, weighted",
            "weighted_covariance": "covariance, weighted",
        },
    ),
    ("Invariance and covariance, unweighted", {"invariance": "invariance", "covariance": "covariance"}),
)  # fmt: skip
PROBES = ("linear", "linear_cached", "knn_20", "knn_200")


class Section(TypedDict):
    """Figures, and a table with its caption."""

    figures: list[Panel]
    columns: list[str]
    rows: list[list[str]]
    caption: str


def losses_section(found: ResultsByStudy, paper: SourcePaper) -> Section | None:
    """Return the recipe's loss curves, term by term, with its collapse metrics; None where it was not measured."""
    candidates = [results for study in (RECIPE, "lambda-mu-nu") for results in found.get(study, ())]
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None or not histories(recipe_arm(results)):
        return None
    baseline = recipe_arm(results)
    shown = [baseline, *(arm for arm in results.arms if arm.name == baseline.control)]
    seeds = count_of(len(histories(baseline)), "seed")
    trained = {**EARLIER, **settings_of(results, baseline)}[TRAIN_ON] == ALL
    images = "validation images, which are trained on as well" if trained else "held-out images"
    return {
        "figures": [_loss(baseline, title, names) for title, names in LOSSES],
        "columns": ["", *(arm.label for arm in shown)],
        "rows": [
            ["Collapse type", *(arm.collapse_type.marked_name for arm in shown)],
            *([name, *(_metric(arm, key) for arm in shown)] for key, name in COLLAPSE.items()),
        ],
        "caption": f"Arm {baseline.name} of {results.study}, profile {results.profile}, on {data_of(results.data)}: mean "
                   f"and range over {seeds}. Collapse metrics are of {images}, unaugmented, in eval mode.",
    }  # fmt: skip


def _loss(arm: ArmResults, title: str, names: dict[str, str]) -> Panel:
    """Return some terms of one arm's loss over epochs, a line a term."""
    lines = [trace(arm, key) for key in names]
    styles = [style_of(arm, label=name, is_baseline=place == 0) for place, name in enumerate(names.values())]
    name = f"loss-{next(iter(names)).replace('_', '-')}"
    return make_panel(name, title, curves.curves(styles, lines, log=True), lines_table(styles, lines, "epoch"))


def _metric(arm: ArmResults, key: str) -> str:
    return figure_of(arm.summary[key].mean) if key in arm.summary else "–"


def _accuracy(arm: ArmResults, probe: str) -> str:
    return f"{figure_of(arm.summary[probe].mean, '.2f', 100)} %" if probe in arm.summary else "–"


def longer_section(found: ResultsByStudy) -> Section | None:
    """Return the longer run of the baseline: accuracy on validation while training, and on test; None without one."""
    results = next((one for one in found.get("longer", ()) if dataset_of(one.data) == "cifar10"), None)
    arm = None if results is None else next((one for one in arms_of(results) if one.is_baseline), None)
    if results is None or arm is None:
        return None
    names = [name for name in PROBES if name in arm.summary]
    shown = [arm, *(one for one in results.arms if one.name == arm.control and one.summary)]
    return {
        "figures": _knn(arm), "columns": ["Test accuracy by", *(one.label for one in shown)],
        "rows": [[measure_name(name), *(_accuracy(one, name) for one in shown)] for name in names],
        "caption": _longer_caption(results, arm, max((arm.summary[name].n for name in names), default=0)),
    }  # fmt: skip


def _knn(arm: ArmResults) -> list[Panel]:
    """Return the k-NN accuracy on validation over epochs; nothing where it was not logged."""
    line = in_percent(trace(arm, "knn"))
    if not line[0]:
        return []
    styles = [style_of(arm, is_baseline=True)]
    return [make_panel("longer-knn", "k-NN accuracy on validation while training, %", curves.curves(styles, [line]),
                       lines_table(styles, [line], "epoch"))]  # fmt: skip


def _longer_caption(results: StudyResults, arm: ArmResults, n: int) -> str:
    own = settings_of(results, arm)
    said = ", ".join(f"{key} {plain(own[f'pretrain.{key}'])}" for key in ("backbone", "width", "epochs"))
    mean = "mean of " if n > 1 else ""
    return (f"{said} on {results.data.train:,} training images of {data_of(results.data)}, profile {results.profile}; "
            f"{mean}{count_of(n, 'seed')}, without an interval. {command_of(results)}")  # fmt: skip


def map_section(maps: Sequence[Projection], paper: SourcePaper) -> MapView | None:
    """Return the map that the claims are judged by; where there is none of CIFAR-10, that of CIFAR-100."""
    shown = nearest_map(maps, paper, dataset="cifar10") or nearest_map(maps, paper, dataset="cifar100")
    if shown is None:
        return None
    _, recipe = described(shown)
    shown_keys = ("backbone", "width", "stem", "epochs")
    own = ", ".join(f"{key} {setting_text(f'pretrain.{key}', recipe[f'pretrain.{key}'])}" for key in shown_keys)
    return {**map_view(shown, run=f"run {short(shown.digest)} ({own})"), "space": None}
