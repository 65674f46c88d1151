"""What readers call measures, metrics, settings and objectives."""

from collections.abc import Iterable

MEASURES = {
    "knn_20": "k-NN, k = 20", "knn_200": "k-NN, k = 200", "linear": "Linear, augmented",
    "linear_cached": "Linear, cached features", "rankme_representations": "RankMe, repr.",
    "rankme_embeddings": "RankMe, emb.", "std_mean_embeddings": "std, emb.",
    "rms_correlation_embeddings": "rms correlation, emb.", "rms_correlation_representations": "rms correlation, repr.",
    "std_mean_representations": "std, repr.", "normalised_std_embeddings": "normalised std, emb.",
    "normalised_std_representations": "normalised std, repr.", "view_discrepancy_embeddings": "view discrepancy, emb.",
    "view_discrepancy_representations": "view discrepancy, repr.", "validation_knn_20": "validation: k-NN, k = 20",
    "validation_knn_200": "validation: k-NN, k = 200", "validation_linear_cached": "validation: linear, cached features",
    "validation_linear": "validation: linear, augmented",
}  # fmt: skip
METRICS = {
    "rankme": "RankMe", "participation_ratio": "participation ratio", "std_mean": "std", "normalised_std": "normalised std",
    "rms_correlation": "rms correlation", "dead_share": "share of dead dimensions", "alignment": "alignment",
    "uniformity": "uniformity", "view_discrepancy": "view discrepancy", "effective_rank": "effective rank, centred",
    "stable_rank": "stable rank", "nesum": "NESum", "alpha_req": "alpha-ReQ", "lidar": "LiDAR",
    "cluster_learnability": "cluster learnability", "intrinsic_dimension": "intrinsic dimension",
}  # fmt: skip
SPACES = {"representations": "repr.", "embeddings": "emb."}


def is_accuracy(name: str) -> bool:
    """Return whether a measure is a share, which is shown in percent."""
    return name.removeprefix("validation_").startswith(("knn", "linear"))


def dataset_name(name: str) -> str:
    """Return what readers call a data set: a folder of images has no name of its own."""
    return "Images from a folder" if name == "imagefolder" else name


def measure_name(name: str) -> str:
    """Return what readers call the measure `name`: a probe, or a collapse metric of one space."""
    if name in MEASURES:
        return MEASURES[name]
    for space in SPACES:
        metric = name.removesuffix(f"_{space}")
        if metric != name and metric in METRICS:
            return metric_name(metric, space)
    return f"k-NN, k = {name[4:]}" if name.startswith("knn_") else name


def metric_name(metric: str, space: str) -> str:
    """Return what readers call a collapse metric of one space."""
    return f"{METRICS.get(metric, metric)}, {SPACES[space]}"


def key_name(key: str) -> str:
    """Return a dotted setting without the section `pretrain`, which goes without saying."""
    return key.removeprefix("pretrain.")


def objective_name(name: str) -> str:
    """Return what readers call an objective of a search."""
    return "training operations" if name == "cost" else measure_name(name)


def objective_axis(name: str) -> str:
    """Return an objective's name with what it was measured on and its unit."""
    if name == "cost":
        return objective_name(name)
    return f"{objective_name(name)}, validation" + (", %" if is_accuracy(name) else "")


def main_objective(names: Iterable[str]) -> str:
    """Return the objective that figures show: an accuracy where there is one, and the cost only where it is alone."""
    return min(names, key=lambda name: (name == "cost", not is_accuracy(name)))
