"""The report of a study: one self-contained HTML page and its Markdown twin, rendered from one view.

It computes no result: numbers come from `study.json`, and are formatted here once, so that the twins cannot disagree.
"""

import argparse
import functools
import json
import re
import sys
from pathlib import Path

import jinja2
import markupsafe

from study import figures
from vicreg.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"
REQUIRED = ["study", "profile", "mode", "question", "hypothesis", "baseline", "primary", "data", "environment", "answer",
            "recipe", "arms"]  # fmt: skip
REQUIRED_ARM = ["name", "label", "is_baseline", "is_control", "settings", "command", "summary", "runs"]
REQUIRED_RUN = ["seed", "digest", "status", "history", "test", "collapse"]
SPACES = {"representations": "representations Y", "embeddings": "embeddings Z"}
LOSS_TERMS = {  # key in the history -> title, logarithmic axis: the variance term is a hinge that lies in [0, gamma]
    "invariance": ("Invariance term", True),
    "variance": ("Variance term", False),
    "covariance": ("Covariance term", True),
    "total": ("Total loss, weighted by each arm's own coefficients", True),
}
TRACES = {
    "embeddings.rankme": ("RankMe of the embeddings", False),
    "embeddings.std_mean": ("Mean standard deviation of the embeddings", True),
    "representations.rankme": ("RankMe of the representations", False),
    "embeddings.rms_correlation": ("Root-mean-square correlation of the embeddings", False),
}
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
COLOURS = {"healthy": "green", "uninformative": "orange", "informational": "blue", "dimensional": "pink",
           "complete": "vermillion"}  # fmt: skip
VERDICT_GLOSSARY = [
    ("healthy", "The features vary, in many directions, and a nearest-neighbour vote on them finds the class."),
    ("complete", "Every image is mapped to nearly the same point: the standard deviation has gone to zero."),
    ("dimensional", "The features vary, but only within few of their dimensions: the rank has fallen."),
    ("informational", "The dimensions vary but repeat one another: they are strongly correlated."),
    ("uninformative", "The geometry looks healthy, yet says nothing about the image: a nearest-neighbour vote is near chance, or "
                      "two views of one image are no closer together, next to views of two images, than in the untrained network."),
]
GLOSSARY = [
    ("λ, μ, ν", "Weights of the invariance, variance and covariance terms of the loss."),
    ("Representations Y, embeddings Z", "Output of the encoder, on which accuracy is measured; output of the expander, on which the loss acts."),
    ("k-NN, k = 20", "Share of test images whose class a weighted vote of their 20 nearest training images finds; nothing is trained."),
    ("Linear, cached features", "Test accuracy of a linear classifier on the frozen encoder's features, encoded once without augmentation; its strength of regularisation is chosen on validation."),
    ("Linear, augmented", "The source paper's protocol: a linear classifier trained by SGD on the frozen encoder, its images augmented anew each epoch. It trains at one learning rate on features as they are, so it also measures their scale: small ones, such as an untrained network's, learn slowly."),
    ("Untrained control", "The same network with random weights, measured in the same way: what pretraining has to beat."),
    ("RankMe", "Effective number of dimensions in use: the exponential of the entropy of the normalised singular values."),
    ("std, emb.", "Standard deviation of an embedding dimension, averaged over dimensions; VICReg's hinge pulls it up to γ."),
    ("rms correlation", "Root mean square of the correlations between different dimensions; 0 is none, 1 is all alike."),
    ("Invariance, variance, covariance term", "Distance between the two views; how far dimensions fall short of a standard deviation of γ; squared covariances between dimensions."),
    ("View discrepancy", "Mean squared distance of two views of one image, over that of views of two images: 0 is all alike, 1 says nothing about the image."),
    ("± and difference", "Standard deviation over seeds; mean over seeds of (this arm − baseline), each seed with itself."),
]  # fmt: skip


# ---- reading


def read(path, required):
    """The JSON object in the file at `path`, checked to have the keys `required`; raises InputError in one sentence."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} must be a readable file, but: {error.strerror}; run the stage that writes it first.") from None
    except ValueError as error:
        raise InputError(f"{path} must be JSON, but it is malformed ({error}); run the stage that writes it again.") from None
    _require(value, required, path)
    return value


def _require(value, keys, where):
    missing = [key for key in keys if key not in value] if isinstance(value, dict) else keys
    if missing:
        raise InputError(f"{where} must be an object with the key '{missing[0]}', but has none; write the file again.")


def read_study(path):
    """A study's results, checked as deep as the report relies on them."""
    study = read(path, REQUIRED)
    for key in ("data", "environment", "recipe"):
        if not isinstance(study[key], dict):
            raise InputError(f"{path} must have an object under '{key}', but got {study[key]!r}; run the study again.")
    if not isinstance(study["arms"], list) or not study["arms"]:
        raise InputError(f"{path} must have at least one arm, but has none; run the study first.")
    for arm in study["arms"]:
        _require(arm, REQUIRED_ARM, f"{path}: an arm")
        for run in arm["runs"]:
            _require(run, REQUIRED_RUN, f"{path}: a run of arm '{arm['name']}'")
    return study


def read_project(path):
    """A t-SNE, checked to have a point in the plane, a point in space and a known class for every image."""
    keys = ["digest", "dataset", "classes", "features", "perplexity", "points_2d", "points_3d", "labels"]
    project = read(path, keys)
    counts = [len(project[key]) for key in ("points_2d", "points_3d", "labels")]
    if len(set(counts)) != 1:
        raise InputError(f"{path} must have one point of each kind an image, but has {counts[0]} points in 2-D, {counts[1]} in 3-D "
                         f"and {counts[2]} labels; run the project stage again.")  # fmt: skip
    if not set(project["labels"]) <= set(range(len(project["classes"]))):
        raise InputError(f"{path} must have labels from 0 to {len(project['classes']) - 1}, one for each of its classes, but goes "
                         f"up to {max(project['labels'])}; run the project stage again.")  # fmt: skip
    return project


# ---- formatting


def signed(value, spec=".1f"):
    """`value` with its sign, and a true minus."""
    return f"{value:+{spec}}".replace("-", "−")


def figure_of(value, spec=".3g", scale=1):
    """`value` times `scale` as text, a dash where it is missing or not finite."""
    return f"{value * scale:{spec}}".replace("-", "−") if figures.finite([value]) else "–"


def is_accuracy(name):
    """Whether a measure is a share, shown in percent."""
    return name.removeprefix("validation_").startswith(("knn", "linear"))


def measure_name(name):
    """What readers call the measure `name`."""
    return MEASURES.get(name, f"k-NN, k = {name[4:]}" if name.startswith("knn_") else name)


def mean_and_sd(entry, name):
    """'96.1 ± 0.4' in percent for an accuracy; without ± where there are fewer than two seeds."""
    if not entry or not figures.finite([entry.get("mean")]):
        return "–"
    spec, scale = (".1f", 100) if is_accuracy(name) else (".3g", 1)
    text = figure_of(entry["mean"], spec, scale)
    has_sd = (entry.get("n") or 0) >= 2 and figures.finite([entry.get("sd")])
    return f"{text} ± {figure_of(entry['sd'], spec, scale)}" if has_sd else text


def paired(entry, name):
    """A difference as {text, interval, excludes_zero}: the mean, starred where the 95 % interval excludes zero; it and n."""
    if not entry or not figures.finite([entry.get("mean")]):
        return no_difference("–")
    spec, scale = (".1f", 100) if is_accuracy(name) else (".3g", 1)
    n, text = entry.get("n") or 0, signed(entry["mean"] * scale, spec)
    bounds = finite_pair(entry.get("low"), entry.get("high"))
    if n <= 2 or bounds is None:
        return {"text": text, "interval": f"no interval, n = {n}", "excludes_zero": False}
    low, high = bounds
    excludes = low > 0 or high < 0
    interval = f"[{signed(low * scale, spec)}, {signed(high * scale, spec)}], n = {n}"
    return {"text": f"{text} *" if excludes else text, "interval": interval, "excludes_zero": excludes}


def no_difference(text):
    """The cell of a difference that is not there, and why."""
    return {"text": text, "interval": "", "excludes_zero": False}


def finite_pair(low, high):
    """(low, high), or None unless both are finite numbers."""
    return (low, high) if len(figures.finite([low, high])) == 2 else None


def settings_lines(settings):
    """{'pretrain.nu': 1} as ['nu = 1']; the section is dropped where it is `pretrain`."""
    return [f"{key.removeprefix('pretrain.')} = {plain(value)}" for key, value in settings.items()]


def plain(value):
    """A setting as it stands in params.yaml."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def without_paths(text):
    """`text` with absolute paths cut to their last name: two clones must write one report."""
    return re.sub(r"(?<![\w.:/])/(?:[^\s/'\":,()]+/)+", "…/", str(text))


# ---- the view


def build_view(study, project=None, evaluation=None):
    """Everything both templates print, formatted: a plain dict of strings, lists and dicts."""
    measures = list(dict.fromkeys(["knn_20", "linear_cached", study["primary"]]))
    arms = study["arms"]
    units = any(_effective(arm) != _nominal(arm, study["recipe"]) for arm in arms if _effective(arm))
    verdicts = [name for name in figures.VERDICTS if any((arm.get("verdict") or {}).get("name") == name for arm in arms)]
    return {
        "study": study["study"], "question": study["question"], "hypothesis": study["hypothesis"],
        "profile": study["profile"], "mode": study["mode"], "answer": study["answer"],
        "warnings": _warnings(study), "notes": [without_paths(note) for note in study.get("notes") or []],
        "scale": _scale(study), "has_control": any(arm["is_control"] for arm in arms),
        "measures": [measure_name(name) for name in measures], "primary": measure_name(study["primary"]),
        "has_published": any(arm.get("published") for arm in arms), "published": _published_notes(study),
        "arms": [_arm_view(arm, measures, study["primary"], units=units) for arm in arms],
        "certainty": _certainty(study), "every_measure": _every_measure(arms),
        "colours": ", ".join(f"{COLOURS[name]} {name}" for name in verdicts),
        "figures": _figures(study, measures), "map": _map(study, project), "evaluation": _evaluation(study, evaluation),
        "failures": _failures(arms), "runs": _runs(arms), "provenance": _provenance(study),
        "verdict_glossary": [(verdict_view({"name": name}), text) for name, text in VERDICT_GLOSSARY],
        "glossary": GLOSSARY,
    }  # fmt: skip


def _warnings(study):
    warnings = [f"About the data: {without_paths(study['data']['note'])}"] if study["data"].get("note") else []
    if study.get("overrides"):
        warnings.append(f"Run with changes to the profile: {', '.join(settings_lines(study['overrides']))}.")
    if any(commit.endswith("-dirty") for commit in study.get("commits") or []):
        warnings.append("Some runs were made from code with uncommitted changes (commits marked -dirty).")
    return warnings


def _scale(study):
    data, shape = study["data"], study["data"].get("shape") or []
    seeds, controls = _seeds(study), sum(arm["is_control"] for arm in study["arms"])
    untrained = ["", " and an untrained control"][controls] if controls < 2 else f" and {controls} untrained controls"
    size = f" of {' × '.join(map(str, shape))}" if shape else ""
    return (f"{data.get('dataset')}: {data.get('train')} training, {data.get('validation')} validation and {data.get('test')} "
            f"test images{size}, {len(data.get('classes') or [])} classes; {len(study['arms']) - controls} arms{untrained}; "
            f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}.")  # fmt: skip


def _seeds(study):
    return sorted({run["seed"] for arm in study["arms"] for run in arm["runs"]})


def verdict_view(verdict, n=0):
    """A verdict as {name, sign, reason, counts}, `counts` only where the seeds disagree; None where there is none."""
    if not verdict or not verdict.get("name"):
        return None
    counts = verdict.get("counts") or {}
    split = ", ".join(f"{count} {name}" for name, count in counts.items()) if len(counts) > 1 else ""
    name = verdict["name"]
    return {"name": name, "known": name if name in figures.VERDICTS else "other", "sign": figures.verdict_style(name)[2],
            "reason": without_paths(verdict.get("reason") or ""), "counts": split}  # fmt: skip


def _effective(arm):
    """(λ, μ, ν) in the official code's units, or None."""
    effective = arm.get("effective")
    return tuple(effective.get(key) for key in ("lambda_", "mu", "nu")) if effective else None


def _nominal(arm, recipe):
    """(λ, μ, ν) as the arm names them."""
    return tuple(arm["settings"].get(key, recipe.get(key)) for key in ("pretrain.lambda", "pretrain.mu", "pretrain.nu"))


def _arm_view(arm, measures, primary, *, units):
    summary = arm["summary"] or {}
    main = summary.get(primary) or {}
    unfinished = [run for run in arm["runs"] if run["status"] != "finished"]
    return {
        "name": arm["name"], "label": arm["label"], "is_baseline": arm["is_baseline"], "is_control": arm["is_control"],
        "settings": settings_lines(arm["settings"]), "command": arm["command"],
        "effective": ", ".join(figure_of(v, ".5g") for v in _effective(arm)) if units and _effective(arm) else "",
        "accuracies": [mean_and_sd(summary.get(name), name) for name in measures],
        "difference": no_difference("baseline") if arm["is_baseline"] else paired(main.get("difference"), primary),
        "gain": no_difference("control") if arm["is_control"] else paired(main.get("gain"), primary),
        "rank": " / ".join(figure_of((summary.get(f"rankme_{space}") or {}).get("mean"), ".1f") for space in SPACES),
        "std": figure_of((summary.get("std_mean_embeddings") or {}).get("mean")),
        "verdict": verdict_view(arm.get("verdict")), "published": _published(arm),
        "unfinished": ", ".join(f"seed {run['seed']} {run['status']}" for run in unfinished),
    }  # fmt: skip


def _published(arm):
    """The published outcome and whether it came out alike: an accuracy there and healthy here, or a collapse in both."""
    published = arm.get("published")
    if not published:
        return {"text": "", "agreement": ""}
    collapsed = bool(published.get("collapse"))
    text = "collapse" if collapsed else ", ".join(f"{figure_of(v, '.1f')} % {k}" for k, v in published.items())
    agreement = {True: "agrees", False: "differs", None: ""}[arm.get("agrees")]
    return {"text": text, "agreement": agreement}


def _published_notes(study):
    source = study.get("published_source")
    if not source:
        return []
    differing = [arm["label"] for arm in study["arms"] if _published(arm)["agreement"] == "differs"]
    notes = [f"Published: {source}. Its protocol differs from this one, so compare outcomes, not numbers: “agrees” means an "
             "accuracy there and a healthy verdict here, or a collapse there and a verdict other than healthy here."]  # fmt: skip
    if differing:
        notes.append(f"Here and there differ for: {'; '.join(differing)}.")
    return notes


def _certainty(study):
    counts = {len([run for run in arm["runs"] if run["status"] == "finished"]) for arm in study["arms"] if not arm["is_control"]}
    most, seeds = max(counts, default=0), ", ".join(map(str, _seeds(study)))
    if most == 0:
        return ["No run has finished, so there is nothing to be sure of yet."]
    if most == 1:
        return ["Each arm has one finished seed at most. There is no standard deviation and no interval: a difference between "
                "two arms may be chance. Run it with three seeds or more to tell."]  # fmt: skip
    told = ("± is the standard deviation over seeds. A difference pairs runs of the same seed and is the mean over seeds, in "
            f"percentage points of “{measure_name(study['primary'])}”; so is a gain over the untrained control.")  # fmt: skip
    if most == 2:
        return [f"Each arm has two finished seeds at most ({seeds}). {told} With two seeds no interval is given, and a "
                "difference may be chance."]  # fmt: skip
    return [f"Seeds {seeds}. {told} Its 95 % interval is a paired t interval with n the number of pairs; * marks one that "
            "excludes zero. An interval that includes zero says that this study cannot tell, not that there is no effect. Each "
            "interval stands for itself, uncorrected for their number, and covers the choice of seeds, not that of the test images.",
            *(["Where n is 2 or less, no interval is given."] if min(counts) <= 2 else [])]  # fmt: skip


def _every_measure(arms):
    names = list(dict.fromkeys([*MEASURES, *(name for arm in arms for name in arm["summary"] or {})]))
    names = [name for name in names if any((arm["summary"] or {}).get(name) for arm in arms)]
    cell = lambda arm, name: (mean_and_sd(arm["summary"].get(name), name),  # noqa: E731
                              "" if arm["is_baseline"] else paired((arm["summary"].get(name) or {}).get("difference"), name))  # fmt: skip
    return {"columns": [measure_name(name) for name in names],
            "rows": [(arm["label"], [cell(arm, name) for name in names]) for arm in arms if arm["summary"]]}  # fmt: skip


def _failures(arms):
    return [{"arm": arm["label"], "seed": run["seed"], "status": run["status"], "digest": short(run["digest"]),
             "reason": without_paths(run.get("reason") or "no reason recorded"), "command": arm["command"]}
            for arm in arms for run in arm["runs"] if run["status"] != "finished"]  # fmt: skip


def _runs(arms):
    return [{"arm": arm["label"], "seed": run["seed"], "digest": short(run["digest"]), "status": run["status"],
             "commit": short(run.get("commit")), "verdict": (run.get("verdict") or {}).get("name") or "–"}
            for arm in arms for run in arm["runs"]]  # fmt: skip


def short(digest):
    """The first 12 characters of a digest or commit, with its '-dirty' kept."""
    text = (digest or "").removeprefix("sha256:")
    return (text[:12] + ("-dirty" if text.endswith("-dirty") else "")) or "–"


def _provenance(study):
    data = study["data"]
    return {
        "data": data.get("digest") or "–", "commits": study.get("commits") or [],
        "versions": [f"{key} {plain(value)}" for key, value in study["environment"].items()],
        "recipe": [(key, plain(value)) for key, value in study["recipe"].items()],
    }  # fmt: skip


def _evaluation(study, evaluation):
    if evaluation is None:
        return None
    trained, control = evaluation.get("trained") or {}, evaluation.get("control") or {}
    rows = [(measure_name(name), figure_of(trained.get(name), ".1f", 100), figure_of(control.get(name), ".1f", 100))
            for name in dict.fromkeys([*trained, *control])]  # fmt: skip
    return {"run": _run_name(study, evaluation.get("digest")), "rows": rows}


def _run_name(study, digest):
    for arm in study["arms"]:
        for run in arm["runs"]:
            if digest and run["digest"] == digest:
                return f"run {short(digest)}, which is seed {run['seed']} of arm “{arm['label']}”"
    return f"run {short(digest)}, which is not one of this study's"


# ---- the figures


def _figure(name, title, svg):
    return {"name": name, "title": title, "svg": svg}


def _figures(study, measures):
    """Groups of figures by name, each figure with its name, title and SVG."""
    arms = study["arms"]
    trained = [arm for arm in arms if not arm["is_control"]]
    line = lambda key, log, **more: figures.curves(trained, [figures.trace(arm, key) for arm in trained], log=log, **more)  # noqa: E731
    groups = {
        "accuracy": [_figure(f"accuracy-{name}", measure_name(name), _dots(study, name))
                     for name in dict.fromkeys([study["primary"], *measures])],
        "loss": [_figure(f"loss-{key}", title, line(key, log)) for key, (title, log) in LOSS_TERMS.items()],
        "collapse": [_figure(f"collapse-{key.replace('.', '-').replace('_', '-')}", title,
                             line(key, log, reference=_reference(arms, key), from_zero=not log))
                     for key, (title, log) in TRACES.items()],
        "spectra": [_figure(f"spectrum-{space}", f"Spectrum of the {title}",
                            figures.curves(arms, [figures.spectrum(arm, space) for arm in arms], log=True,
                                           xlabel="eigenvalue, from the largest", log_x=True))
                    for space, title in SPACES.items()],
        "classes": _class_figures(study),
    }  # fmt: skip
    if not any(figures.histories(arm) for arm in trained):
        groups["loss"] = groups["collapse"] = []
    if not any(figures.spectrum(arm, space)[0] for arm in arms for space in SPACES):
        groups["spectra"] = []
    return groups


def _dots(study, name):
    rows = [{"label": arm["label"], "verdict": (arm.get("verdict") or {}).get("name"), "is_baseline": arm["is_baseline"],
             "is_control": arm["is_control"], "mean": ((arm["summary"] or {}).get(name) or {}).get("mean"),
             "values": [((run["test"] or {}).get(name) or {}).get("top1") for run in arm["runs"]]}
            for arm in study["arms"]]  # fmt: skip
    return figures.dot_plot(rows, chance=study["data"].get("chance"))


def _reference(arms, key):
    """The control's own level of a traced quantity, where there is one control to name."""
    space, name = key.split(".")
    means = [((arm["summary"] or {}).get(f"{name}_{space}") or {}).get("mean") for arm in arms if arm["is_control"]]
    return ("untrained", means[0]) if len(means) == 1 and figures.finite(means) else None


def _class_figures(study):
    """Per-class accuracy and confusion of the baseline, by the primary probe."""
    classes, primary = study["data"].get("classes") or [], study["primary"]
    baseline = next((arm for arm in study["arms"] if arm["is_baseline"]), None)
    tests = [(run["seed"], (run["test"] or {}).get(primary) or {}) for run in baseline["runs"]] if baseline else []
    per_class = [test["per_class"] for _, test in tests if len(test.get("per_class") or []) == len(classes) > 0]
    drawn = []
    if per_class:
        title = f"Accuracy of each class, a dot a seed ({measure_name(primary)})"
        drawn.append(_figure("classes-accuracy", title, figures.class_accuracies(per_class, classes)))
    for seed, test in tests[:1]:
        if len(test.get("confusion") or []) == len(classes) > 0:
            title = f"Confusion on the test images, seed {seed} ({measure_name(primary)})"
            drawn.append(_figure("classes-confusion", title, figures.confusion(test["confusion"], classes)))
    return drawn


def _map(study, project):
    if project is None:
        return None
    classes = [str(name) for name in project["classes"]]
    shared = functools.partial(figures.map_3d, project["points_3d"], project["labels"], classes)
    drawn = [_figure("tsne-2d", "t-SNE in two dimensions", figures.map_2d(project["points_2d"], project["labels"], classes)),
             *(_figure(f"tsne-3d-{side}", f"t-SNE in three dimensions, from {angle}°", shared(azimuth=angle))
               for side, angle in (("left", 35), ("right", 125)))]  # fmt: skip
    caption = (f"t-SNE of the {project['features']} of {len(project['labels'])} test images of {project['dataset']}, perplexity "
               f"{plain(project['perplexity'])}, coloured by class, from {_run_name(study, project['digest'])}. Distances between "
               "far groups and the sizes of groups carry no meaning in a t-SNE.")  # fmt: skip
    return {"figures": drawn, "caption": caption, "note": without_paths(project.get("note") or "")}


# ---- rendering


def themed(figure):
    """An SVG for the page itself: its own ids, a name for screen readers, no fixed size, and the page's colours."""
    svg, name = figure["svg"], figure["name"]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" '
                 rf'role="img" aria-label="{markupsafe.escape(figure["title"])}">', svg, count=1)  # fmt: skip
    for colour, variable in ((figures.INK, "ink"), (figures.MUTED, "muted"), (figures.GRID, "grid"), (figures.PAPER, "paper")):
        svg = svg.replace(colour, f"var(--{variable})")
    return markupsafe.Markup(svg)


def escaped(text):
    """`text` for a line or a table cell of Markdown: nothing in it is markup."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#~$])", r"\\\1", text)


def render(view):
    """(HTML, Markdown) of a view."""
    options = {"loader": jinja2.FileSystemLoader(TEMPLATES), "undefined": jinja2.StrictUndefined, "trim_blocks": True,
               "lstrip_blocks": True, "keep_trailing_newline": True}  # fmt: skip
    html = jinja2.Environment(autoescape=True, **options)
    html.filters["themed"] = themed
    markdown = jinja2.Environment(autoescape=False, **options)
    markdown.filters["md"] = escaped
    return html.get_template("report.html.j2").render(view), markdown.get_template("report.md.j2").render(view)


def write(view, out):
    """Write index.html, README.md and figures/*.svg under `out`; figures of an earlier report are removed."""
    html, markdown = render(view)
    drawn = [figure for group in view["figures"].values() for figure in group] + (view["map"] or {"figures": []})["figures"]
    try:
        folder = Path(out) / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.svg"):
            stale.unlink()
        for figure in drawn:
            (folder / f"{figure['name']}.svg").write_text(figure["svg"], encoding="utf-8", newline="\n")
        (Path(out) / "index.html").write_text(html, encoding="utf-8", newline="\n")
        (Path(out) / "README.md").write_text(markdown, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"--out must be a folder that can be written, but {out} is not ({error.strerror}).") from None


def main(arguments=None):
    """The command: read, build, write; a person's mistake is one sentence and status 2."""
    parser = argparse.ArgumentParser(prog="python -m study.report", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", required=True, help="results/ablate/<study>/study.json")
    parser.add_argument("--project", help="results/project/tsne.json")
    parser.add_argument("--evaluate", help="results/evaluate/metrics.json")
    parser.add_argument("--out", required=True, help="folder of the report, such as reports/<study>")
    options = parser.parse_args(arguments)
    try:
        study = read_study(options.results)
        project = read_project(options.project) if options.project else None
        evaluation = read(options.evaluate, ["trained", "control"]) if options.evaluate else None
        write(build_view(study, project, evaluation), options.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
