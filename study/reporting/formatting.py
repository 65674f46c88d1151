"""Numbers and settings as readers see them: the one place where a report's text is formatted."""

import json
import re

from study.reporting import drawing

ALPHA = 0.05
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


def signed(value, spec=".1f"):
    """`value` with its sign, and a true minus."""
    return f"{value:+{spec}}".replace("-", "−")


def figure_of(value, spec=".3g", scale=1):
    """`value` times `scale` as text, a dash where it is missing or not finite."""
    return f"{value * scale:{spec}}".replace("-", "−") if drawing.finite([value]) else "–"


def is_accuracy(name):
    """Whether a measure is a share, shown in percent."""
    return name.removeprefix("validation_").startswith(("knn", "linear"))


def measure_name(name):
    """What readers call the measure `name`."""
    return MEASURES.get(name, f"k-NN, k = {name[4:]}" if name.startswith("knn_") else name)


def mean_and_sd(entry, name):
    """'96.1 ± 0.4' in percent for an accuracy; without ± where there are fewer than two seeds."""
    if not entry or not drawing.finite([entry.get("mean")]):
        return "–"
    spec, scale = (".1f", 100) if is_accuracy(name) else (".3g", 1)
    text = figure_of(entry["mean"], spec, scale)
    has_sd = (entry.get("n") or 0) >= 2 and drawing.finite([entry.get("sd")])
    return f"{text} ± {figure_of(entry['sd'], spec, scale)}" if has_sd else text


def paired(entry, name, *, adjusted=True):
    """A difference as {text, interval, told}: the mean; its interval and n; whether it is told apart from zero, by Holm's p
    where it is `adjusted` and by its own interval elsewhere. What is told apart is starred."""
    if not entry or not drawing.finite([entry.get("mean")]):
        return no_difference("–")
    spec, scale = (".1f", 100) if is_accuracy(name) else (".3g", 1)
    n, text = entry.get("n") or 0, signed(entry["mean"] * scale, spec)
    bounds = finite_pair(entry.get("low"), entry.get("high"))
    if n <= 2 or bounds is None:
        why = "the same at each seed, " if n > 2 else ""
        return {"text": text, "interval": f"{why}no interval, n = {n}", "told": False}
    low, high = bounds
    p = entry.get("p_holm")
    clear = p is not None and p < ALPHA if adjusted else low > 0 or high < 0
    interval = f"[{signed(low * scale, spec)}, {signed(high * scale, spec)}], n = {n}"
    return {"text": f"{text} *" if clear else text, "interval": interval, "told": clear}


def certainty_of(entry):
    """What a difference of the primary accuracy says beside its interval, a line each; none below three seeds."""
    if not entry or not drawing.finite([entry.get("mean")]):
        return []
    if entry["n"] < 3:
        return [f"n = {entry['n']}: descriptive only"]
    if "low" in entry and entry["low"] is None:
        return ["no spread over seeds to tell by"]
    lines = [f"Holm's p {p_value(entry.get('p_holm'))}"]
    if drawing.finite([entry.get("effect_size")]):
        lines.append(f"g = {signed(entry['effect_size'])}")
    if drawing.finite([entry.get("probability_better")]):
        lines.append(f"P(better) {entry['probability_better']:.2f}")
    if drawing.finite([entry.get("test_error")]):
        lines.append(f"test images ± {figure_of(entry['test_error'], '.1f', 100)}")
    return lines


def p_value(p):
    """A p-value as text."""
    return "–" if not drawing.finite([p]) else "< 0.001" if p < 0.001 else f"= {p:.3f}"


def outcome_lines(outcomes):
    """How an arm's runs ended: the share that collapsed with its interval."""
    if not outcomes or not outcomes["asked"]:
        return ""
    bounds = f"[{100 * outcomes['low']:.0f}, {100 * outcomes['high']:.0f}] %"
    return f"{outcomes['collapsed']} of {outcomes['asked']} collapsed {bounds}"


def quantity(value):
    """A large count in words a reader can hold: 718 thousand, 1.2 million, 20.0 trillion."""
    if value < 10_000:
        return f"{value:,.0f}"
    if value < 1_000_000:
        return f"{value / 1000:,.0f} thousand"
    for size, name in ((1e9, "million"), (1e12, "billion"), (1e15, "trillion")):
        if value < size:
            return f"{1000 * value / size:,.1f} {name}"
    return f"{value / 1e15:,.1f} quadrillion"


def duration(seconds):
    """Seconds in the unit a person would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def no_difference(text):
    """The cell of a difference that is not there, and why."""
    return {"text": text, "interval": "", "told": False}


def finite_pair(low, high):
    """(low, high), or None unless both are finite numbers."""
    return (low, high) if len(drawing.finite([low, high])) == 2 else None


def settings_lines(settings):
    """{'pretrain.nu': 1} as ['nu = 1']; the section is dropped where it is `pretrain`."""
    return [f"{key.removeprefix('pretrain.')} = {plain(value)}" for key, value in settings.items()]


def plain(value):
    """A setting as it stands in params.yaml."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def without_paths(text):
    """`text` with absolute paths cut to their last name: two clones must write one report."""
    return re.sub(r"(?<![\w.:/])/(?:[^\s/'\":,()]+/)+", "…/", str(text))


def short(digest):
    """The first 12 characters of a digest or commit, with its '-dirty' kept."""
    text = (digest or "").removeprefix("sha256:")
    return (text[:12] + ("-dirty" if text.endswith("-dirty") else "")) or "–"


def verdict_view(verdict):
    """A verdict as {name, sign, reason, counts}, `counts` only where the seeds disagree; None where there is none."""
    if not verdict or not verdict.get("name"):
        return None
    counts = verdict.get("counts") or {}
    split = ", ".join(f"{count} {name}" for name, count in counts.items()) if len(counts) > 1 else ""
    name = verdict["name"]
    return {"name": name, "known": name if name in drawing.VERDICTS else "other", "sign": drawing.verdict_style(name)[2],
            "reason": without_paths(verdict.get("reason") or ""), "counts": split}  # fmt: skip


METRICS = {
    "rankme": "RankMe", "participation_ratio": "participation ratio", "std_mean": "std", "normalised_std": "normalised std",
    "rms_correlation": "rms correlation", "dead_share": "share of dead dimensions", "alignment": "alignment",
    "uniformity": "uniformity", "view_discrepancy": "view discrepancy",
}  # fmt: skip
SPACE_NAMES = {"representations": "repr.", "embeddings": "emb."}


def metric_name(row):
    """What readers call the collapse metric of a row with `metric` and `space`."""
    return f"{METRICS.get(row['metric'], row['metric'])}, {SPACE_NAMES[row['space']]}"


def key_name(key):
    """A dotted setting without the section that goes without saying."""
    return key.removeprefix("pretrain.")


def objective_name(name):
    """What readers call an objective of a search."""
    return "training operations" if name == "cost" else measure_name(name)


def objective_axis(name):
    """An objective with what it was measured on and its unit."""
    if name == "cost":
        return objective_name(name)
    return f"{objective_name(name)}, validation" + (", %" if is_accuracy(name) else "")


def main_objective(names):
    """Of a search's objectives the one that figures show: an accuracy where there is one, and never the cost."""
    return min(names, key=lambda name: (name == "cost", not is_accuracy(name)))


def objective_text(name, value):
    """An objective's value as text."""
    if name == "cost":
        return figure_of(value, ".3g")
    return figure_of(value, ".1f", 1 if name.startswith("rankme") else 100)


def role(arm):
    """An arm's part in the design: control, arm, step, trial or tuning."""
    return arm.get("role") or ("control" if arm["is_control"] else "arm")


def seeds_of(arms):
    """The seeds that some arms ran at."""
    return sorted({run["seed"] for arm in arms for run in arm["runs"]})
