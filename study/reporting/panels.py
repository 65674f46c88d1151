"""The figures of a report, each with its title and the table of what it shows."""

import functools

from study.reporting import design_figures, drawing, figures
from study.reporting.design_panels import figure, has_phase_diagram, phase_diagram, predictor_figures, search_figures
from study.reporting.formatting import figure_of, measure_name, plain, role, short, signed, without_paths

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
THINNED = 11  # epochs in the table behind a curve


def figures_of(study, measures, curves=None):
    """Groups of figures by name."""
    everything = study["arms"]
    arms = [arm for arm in everything if role(arm) not in ("trial", "tuning")]
    trained = [arm for arm in arms if not arm["is_control"]]
    has_history = any(figures.histories(arm) for arm in trained)
    has_spectrum = any(figures.spectrum(arm, space)[0] for arm in arms for space in SPACES)
    return {
        "forest": _forest(study, trained),
        "accuracy": [_dots(study, arms, name) for name in dict.fromkeys([study["primary"], *measures])],
        "design": [*phase_diagram(study, trained), *search_figures(study), *_path(study, arms)],
        "loss": [_curve(trained, key, title, log, f"loss-{key}") for key, (title, log) in LOSS_TERMS.items() if has_history]
        + _accuracy_over_epochs(trained),
        "collapse": [_trace(trained, arms, key, title, log) for key, (title, log) in TRACES.items() if has_history],
        "spectra": [_spectrum(arms, space, title) for space, title in SPACES.items() if has_spectrum],
        "predictors": predictor_figures(study, trained),
        "probe": _probe_curves(curves),
        "classes": _classes(study),
    }


# ---- differences and accuracies


def _forest(study, trained):
    rows = []
    for arm in trained:
        difference = ((arm["summary"] or {}).get(study["primary"]) or {}).get("difference")
        if arm["is_baseline"]:
            continue
        rows.append({
            "label": arm["label"], "verdict": (arm.get("verdict") or {}).get("name"), "text": _difference_text(difference),
            **{key: (difference or {}).get(key) for key in ("mean", "low", "high")},
            "values": (difference or {}).get("values") or [],
        })  # fmt: skip
    if not any(drawing.finite([row["mean"]]) for row in rows):
        return []
    margin = (study.get("power") or {}).get("margin") or 0.01
    table = [
        [row["label"], row["verdict"] or "–", row["text"], ", ".join(figure_of(v, "+.1f", 100) for v in row["values"])]
        for row in rows
    ]
    title = f"Difference from the baseline, {measure_name(study['primary'])}, test"
    return [figure("forest", title, design_figures.forest(rows, margin=margin),
                   (["Arm", "Verdict", "Difference, points", "Each seed"], table))]  # fmt: skip


def _difference_text(difference):
    if not difference or not drawing.finite([difference.get("mean")]):
        return "no result"
    text = signed(100 * difference["mean"])
    if drawing.finite([difference.get("low"), difference.get("high")]) and difference["low"] is not None:
        text += f" [{signed(100 * difference['low'])}, {signed(100 * difference['high'])}]"
    return text


def _dots(study, arms, name):
    rows = [{"label": arm["label"], "is_baseline": arm["is_baseline"],
             "verdicts": [(run.get("verdict") or {}).get("name") for run in arm["runs"]],
             "is_control": arm["is_control"], "mean": ((arm["summary"] or {}).get(name) or {}).get("mean"),
             "seeds": [run["seed"] for run in arm["runs"]],
             "values": [((run["test"] or {}).get(name) or {}).get("top1") for run in arm["runs"]]}
            for arm in arms]  # fmt: skip
    table = [
        [row["label"], figure_of(row["mean"], ".1f", 100), ", ".join(figure_of(v, ".1f", 100) for v in row["values"])]
        for row in rows
    ]
    svg = figures.dot_plot(rows, chance=study["data"].get("chance"))
    return figure(f"accuracy-{name}", measure_name(name), svg, (["Arm", "Mean, %", "Each seed, %"], table))


def _path(study, arms):
    """The accuracies along the walk from the baseline."""
    path = study.get("path")
    if not path or not path["steps"]:
        return []
    by_name = {arm["name"]: arm for arm in study["arms"]}
    baseline = next(arm for arm in arms if arm["is_baseline"])
    walked = [(baseline["label"], baseline), *((f"+ {step['change']}", by_name[step["arm"]]) for step in path["steps"])]
    rows = [{**arm, "label": label, "is_control": False} for label, arm in walked]
    return [
        dict(
            _dots(study, rows, study["primary"]),
            name="path",
            title=f"Along the path: {measure_name(study['primary'])}, test",
        )
    ]


# ---- over epochs


def _thinned(epochs):
    if len(epochs) <= THINNED:
        return list(range(len(epochs)))
    return sorted({round(i * (len(epochs) - 1) / (THINNED - 1)) for i in range(THINNED)})


def lines_table(arms, lines, what):
    """The table behind curves: (columns, rows), a row an arm, at some of the epochs."""
    longest = max((x for x, _ in lines), key=len, default=[])
    shown = [longest[i] for i in _thinned(longest)]
    rows = []
    for arm, (x, y) in zip(arms, lines):
        means = {epoch: point[0] for epoch, point in zip(x, y)}
        if means:
            rows.append([arm["label"], *(figure_of(means.get(epoch), ".3g") for epoch in shown)])
    return ["Arm", *(f"{what} {epoch}" for epoch in shown)], rows


def _curve(trained, key, title, log, name, **more):
    lines = [figures.trace(arm, key) for arm in trained]
    return figure(name, title, figures.curves(trained, lines, log=log, **more), lines_table(trained, lines, "epoch"))


def _accuracy_over_epochs(trained):
    """k-NN accuracy on validation while training, where it was logged (`pretrain.probe_every`); and test accuracy after each
    epoch of the linear evaluation, where that was measured."""
    drawn = []
    for name, title, shares in (
        ("knn", "k-NN accuracy on validation while training, %", [figures.trace(arm, "knn") for arm in trained]),
        ("linear", f"{measure_name('linear')}: test accuracy by epoch of the probe, %", [_probe(arm) for arm in trained]),
    ):
        lines = [(x, [tuple(100 * value for value in point) for point in y]) for x, y in shares]
        if any(x for x, _ in lines):
            svg = figures.curves(trained, lines)
            drawn.append(figure(f"epochs-{name}", title, svg, lines_table(trained, lines, "epoch")))
    return drawn


def _probe(arm):
    """Epochs of the linear evaluation and the (mean, lowest, highest) test accuracy over an arm's runs after each."""
    curves = [((run["test"] or {}).get("linear") or {}).get("curve") or [] for run in arm["runs"]]
    columns = list(zip(*(curve for curve in curves if curve)))
    return list(range(1, len(columns) + 1)), [(sum(c) / len(c), min(c), max(c)) for c in columns]


def _trace(trained, arms, key, title, log):
    name = f"collapse-{key.replace('.', '-').replace('_', '-')}"
    return _curve(trained, key, title, log, name, reference=_reference(arms, key), from_zero=not log)


def _spectrum(arms, space, title):
    lines = [figures.spectrum(arm, space) for arm in arms]
    svg = figures.curves(arms, lines, log=True, xlabel="eigenvalue, from the largest", log_x=True)
    return figure(f"spectrum-{space}", f"Spectrum of the {title}", svg, lines_table(arms, lines, "no."))


def _reference(arms, key):
    """The control's own level of a traced quantity, where there is one control to name."""
    space, name = key.split(".")
    means = [((arm["summary"] or {}).get(f"{name}_{space}") or {}).get("mean") for arm in arms if arm["is_control"]]
    return ("untrained", means[0]) if len(means) == 1 and drawing.finite(means) else None


def _probe_curves(curves):
    """The linear protocol epoch by epoch, from rows of (network, split, epoch, top1)."""
    drawn = []
    for split in ("test", "validation"):
        lines = {}
        for network, at, epoch, top1 in curves or []:
            if at == split:
                lines.setdefault(network, ([], []))[0].append(epoch)
                lines[network][1].append((100 * top1,) * 3)
        if lines:
            arms = [
                {"label": name, "is_control": name == "untrained", "is_baseline": name == "pretrained", "verdict": None}
                for name in lines
            ]
            svg = figures.curves(arms, list(lines.values()), from_zero=False)
            title = f"{measure_name('linear')}, {split} accuracy in %, by epoch of the probe"
            drawn.append(figure(f"probe-{split}", title, svg, lines_table(arms, list(lines.values()), "epoch")))
    return drawn


# ---- classes and maps


def _classes(study):
    """Per-class accuracy and confusion of the baseline, by the primary probe."""
    classes, primary = study["data"].get("classes") or [], study["primary"]
    baseline = next((arm for arm in study["arms"] if arm["is_baseline"]), None)
    tests = [(run["seed"], (run["test"] or {}).get(primary) or {}) for run in baseline["runs"]] if baseline else []
    per_class = [test["per_class"] for _, test in tests if len(test.get("per_class") or []) == len(classes) > 0]
    drawn = []
    if per_class:
        title = f"Accuracy of each class, a dot a seed ({measure_name(primary)})"
        rows = [
            [str(name), ", ".join(figure_of(values[i], ".1f", 100) for values in per_class)]
            for i, name in enumerate(classes)
        ]
        drawn.append(
            figure(
                "classes-accuracy", title, figures.class_accuracies(per_class, classes), (["Class", "Each seed, %"], rows)
            )
        )
    for seed, test in tests[:1]:
        if len(test.get("confusion") or []) == len(classes) > 0:
            title = f"Confusion on the test images, seed {seed} ({measure_name(primary)})"
            rows = [[str(name), *map(str, row)] for name, row in zip(classes, test["confusion"])]
            table = (["True class", *map(str, classes)], rows) if len(classes) <= figures.MANY_CLASSES else None
            drawn.append(figure("classes-confusion", title, figures.confusion(test["confusion"], classes), table))
    return drawn


def phase_source(study):
    """Where the published points of a phase diagram are from, with their protocol; empty without a diagram."""
    published = study.get("published_coefficients")
    if not published or not has_phase_diagram(study):
        return ""
    return f"{published['source']}; {published['protocol']}"


def map_of(study, project):
    """The t-SNE in the plane and in space, with the numbers that say how far to believe it."""
    if project is None:
        return None
    classes = [str(name) for name in project["classes"]]
    shared = functools.partial(figures.map_3d, project["points_3d"], project["labels"], classes)
    drawn = [figure("tsne-2d", "t-SNE in two dimensions", figures.map_2d(project["points_2d"], project["labels"], classes)),
             *(figure(f"tsne-3d-{side}", f"t-SNE in three dimensions, from {angle}°", shared(azimuth=angle))
               for side, angle in (("left", 35), ("right", 125)))]  # fmt: skip
    caption = (f"t-SNE of the {project['features']} of {len(project['labels'])} test images of {project['dataset']}, "
               f"perplexity {plain(project['perplexity'])}, coloured by class, from {run_name(study, project['digest'])}. "
               "Distances between far groups and the sizes of groups carry no meaning in a t-SNE.")  # fmt: skip
    return {"figures": drawn, "caption": caption, "note": without_paths(project.get("note") or ""),
            "quality": _map_quality(project, classes), "space": _space(project, classes)}  # fmt: skip


def _map_quality(project, classes):
    """Rows of (what, share of neighbours of the same class, trustworthiness), and the most confused pairs in words."""
    quality = project.get("quality")
    if not quality:
        return None
    rows = [[f"{project['features']}, before the map", figure_of(quality["features"]["purity"], ".1f", 100), "–"]]
    rows += [
        [
            f"map in {n} dimensions",
            figure_of(quality[f"{n}d"]["purity"], ".1f", 100),
            figure_of(quality[f"{n}d"]["trustworthiness"], ".3f"),
        ]
        for n in (2, 3)
    ]
    pairs = [
        f"{classes[pair['first']]} and {classes[pair['second']]} ({figure_of(pair['share'], '.1f', 100)} %)"
        for pair in project.get("confused") or []
    ]
    return {"columns": ["", f"Of {quality['neighbours']} neighbours of the same class, %", "Trustworthiness"], "rows": rows,
            "pairs": "Most confused on the map, by the share of their neighbours that belong to the other: "
                     f"{'; '.join(pairs) or 'none'}."}  # fmt: skip


def _space(project, classes):
    """The points in space for the view that turns: whole numbers to a thousandth of the extent, labels and colours."""
    points = project["points_3d"]
    if not points:
        return None
    centre = [(min(axis) + max(axis)) / 2 for axis in zip(*points)]
    extent = max(max(axis) - min(axis) for axis in zip(*points)) or 1
    scaled = [[round(2000 * (value - middle) / extent) for value, middle in zip(point, centre)] for point in points]
    return {"points": scaled, "labels": project["labels"], "classes": classes,
            "colours": [figures.class_colour(index, len(classes)) for index in range(len(classes))]}  # fmt: skip


def run_name(study, digest):
    """Which run of the study a digest is, in words."""
    for arm in study["arms"]:
        for run in arm["runs"]:
            if digest and run["digest"] == digest:
                return f"run {short(digest)}, which is seed {run['seed']} of arm “{arm['label']}”"
    return f"run {short(digest)}, which is not one of this study's"
