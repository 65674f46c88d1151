"""The page on the source paper: every claim beside its measurement, formatted once for both twins."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from study.paper.judged import (
    FAILS,
    HOLDS,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDETERMINED,
    Judged,
    Results,
    arms_of,
    baseline_of,
    digests,
    nearest,
    nearest_map,
    paired,
    probe_of,
)
from study.paper.protocol import DATASETS, data_of, dataset_of, differences, is_copy, settings_of
from study.reporting import figures, panels
from study.reporting.design_panels import figure
from study.reporting.formatting import figure_of, measure_name, plain, short, signed, without_paths
from study.results.comparisons import Interval

SIGNS = {REPRODUCED: ("●", "healthy"), NOT_REPRODUCED: ("✖", "complete"), UNDETERMINED: ("◆", "uninformative")}
COLLAPSE = {
    "rankme_representations": "RankMe, repr.", "rankme_embeddings": "RankMe, emb.", "std_mean_embeddings": "std, emb.",
    "rms_correlation_embeddings": "rms correlation, emb.", "normalised_std_embeddings": "normalised std, emb.",
}  # fmt: skip
TERMS = {
    "weighted_invariance": "invariance, weighted", "weighted_variance": "variance, weighted",
    "weighted_covariance": "covariance, weighted", "invariance": "invariance", "covariance": "covariance",
}  # fmt: skip


def build_view(
    rows: Sequence[Judged],
    found: Mapping[str, Sequence[Results]],
    maps: Sequence[Results],
    published: Mapping[str, Any],
    *,
    changed: Mapping[int, Sequence[str]],
    links: Mapping[int, Mapping[str, str]],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    """Everything both pages print: strings, lists and dicts.

    Args:
        rows: the judged claims.
        found: study -> results, of whatever profile.
        maps: t-SNE projections with the data and the recipe of their run.
        published: what published.yaml holds.
        changed: id() of results -> modules of training code that have changed since.
        links: id() of results -> addresses of their report, `html` and `markdown`.
        failures: study -> why it could not be run this time, in a sentence.
    """
    paper = published["source_paper"]
    protocols = _protocols(rows)
    used = _used(rows, found)
    return {
        "source": paper["source"], "answer": _answer(rows), "warnings": _warnings(used, changed),
        "failures": [f"{study}: {without_paths(why)}" for study, why in sorted(failures.items())],
        "rows": [_row(row, protocols) for row in rows],
        "details": _details(rows, changed),
        "protocols": [(letter, list(apart)) for apart, letter in protocols.items()],
        "missing": _missing(rows),
        "silent": _silent(paper, found),
        "losses": _losses(found, paper), "longer": _longer(found), "map": _map(maps, paper),
        "field": _field(published["field"], found),
        "used": [_measurement(one, changed, links) for one in used],
    }  # fmt: skip


# ---- the claims


def _answer(rows: Sequence[Judged]) -> str:
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in SIGNS}
    reduced = [row for row in rows if row.apart and (row.ours is not None or row.told in (HOLDS, FAILS))]
    holds, fails = (sum(row.told == told for row in reduced) for told in (HOLDS, FAILS))
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    sentence = f"Of {len(rows)} comparisons with the paper's numbers and claims: {said}."
    if reduced:
        sentence += (f" {len(reduced)} of the undetermined were measured by another protocol, which decides nothing about "
                     f"the paper's: there {holds} hold, {fails} do not, and {len(reduced) - holds - fails} cannot be "
                     "told.")  # fmt: skip
    return sentence


def _warnings(used: Sequence[Results], changed: Mapping[int, Sequence[str]]) -> list[str]:
    warnings = []
    if any(is_copy(one["data"]) for one in used):
        warnings.append("Some measurements are of a copy of CIFAR-10, read from a folder of image files, whose bytes are "
                        "not the canonical ones; each says so.")  # fmt: skip
    if any(changed.get(id(one)) for one in used):
        warnings.append("Some measurements were made by earlier training code, as the list of measurements says of each: "
                        "run again today they would be new runs.")  # fmt: skip
    return warnings


def _protocols(rows: Sequence[Judged]) -> dict[tuple[str, ...], str]:
    """What is apart from the paper's protocol -> the letter that stands for it in the table."""
    different = dict.fromkeys(row.apart for row in rows if row.apart)
    return {apart: chr(ord("A") + number) for number, apart in enumerate(different)}


def _row(row: Judged, protocols: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    sign, style = SIGNS[row.verdict]
    verdict = row.verdict
    if row.verdict == UNDETERMINED and row.apart and row.told:
        verdict += f"; by protocol {protocols[row.apart]} {row.told}"
    elif row.verdict == UNDETERMINED:
        verdict += f"; missing: {_lacks(row)}"
    return {
        "says": row.says, "arm": row.arm, "dataset": DATASETS.get(row.dataset, row.dataset),
        "paper": _paper(row), "ours": _value(row.ours, row.kind), "interval": _bounds(row.ours, row.kind),
        "basis": _basis(row, protocols),
        "difference": _difference(row), "sure": _sure(row), "verdict": verdict, "sign": sign, "style": style,
    }  # fmt: skip


def _paper(row: Judged) -> str:
    if row.paper is None:
        return "–"
    return signed(100 * row.paper, ".0f") + " points" if row.kind == "points" else f"{100 * row.paper:.2f} %"


def _value(value: Interval | None, kind: str) -> str:
    """The measured number in its own unit; a dash where nothing was measured."""
    if value is None:
        return "–"
    return {
        "accuracy": f"{figure_of(value.mean, '.2f', 100)} %", "points": f"{signed(100 * value.mean)} points",
        "ratio": f"{figure_of(value.mean)} times", "share": f"{figure_of(value.mean, '.0f', 100)} %",
    }[kind]  # fmt: skip


def _bounds(value: Interval | None, kind: str) -> str:
    if value is None:
        return ""
    if value.low is None or value.high is None:
        return f"n = {value.n}, no interval"
    shown = {
        "accuracy": lambda v: figure_of(v, ".2f", 100), "points": lambda v: signed(100 * v),
        "ratio": figure_of, "share": lambda v: figure_of(v, ".0f", 100),
    }[kind]  # fmt: skip
    return f"[{shown(value.low)}, {shown(value.high)}], n = {value.n}"


def _basis(row: Judged, protocols: Mapping[tuple[str, ...], str]) -> str:
    """On what a measurement stands: images, and whether the protocol is the paper's."""
    if row.results is None:
        return ""
    protocol = f"protocol {protocols[row.apart]}" if row.apart else "the paper's protocol"
    return f"{data_of(row.results['data'])}, {protocol}"


def _difference(row: Judged) -> dict[str, str]:
    """Ours less the paper's, where the protocol is the paper's; nothing is subtracted across protocols."""
    if row.difference is None or row.ours is None:
        return {"text": "–", "interval": ""}
    if row.apart:
        return {"text": "–", "interval": "another protocol"}
    return {"text": _value(row.difference, "points"), "interval": _bounds(row.difference, "points")}


def _sure(row: Judged) -> str:
    if row.ours is None and not row.reason:
        return "not measured"
    return row.reason or (f"{row.ours.n} seeds" if row.ours else "–")


def _details(rows: Sequence[Judged], changed: Mapping[int, Sequence[str]]) -> list[dict[str, Any]]:
    """What is said of each row beneath the table: the runs, the command that made them, and the one that is missing."""
    return [
        {
            "title": f"{row.says} ({DATASETS.get(row.dataset, row.dataset)})" + (f": {row.arm}" if row.arm else ""),
            "made": _made_by(row), "runs": ", ".join(short(digest) for digest in row.runs),
            "missing": _lacks(row), "command": _command(row),
        }
        for row in rows
    ]  # fmt: skip


def _made_by(row: Judged) -> list[str]:
    """The commands that made a row's runs; nothing where there are none."""
    made = [one for one in (row.results, row.reference) if one is not None and row.runs]
    return [command_of(one) if "command" in one else f"dvc exp run -S profile={one['profile']} project" for one in made]


def command_of(results: Results) -> str:
    """The command of a study, with no folder of one machine in it."""
    return without_paths(results["command"])


def _lacks(row: Judged) -> str:
    """What it would take for a verdict; nothing where there is one."""
    if row.verdict != UNDETERMINED:
        return ""
    if row.apart:
        return "the same by the paper's protocol"
    return row.missing or "more seeds"


def _command(row: Judged) -> str:
    """What measures the paper's protocol."""
    if row.verdict != UNDETERMINED:
        return ""
    profile = row.dataset if row.dataset in DATASETS else "cifar10"
    if row.study == "project":
        return f"dvc exp run -S profile={profile} project"
    if row.results is not None and row.ours is not None and not row.apart:
        return more_seeds(command_of(row.results))
    return f"python -m study.ablate --study {row.study} --profile {profile}"


def more_seeds(command: str) -> str:
    """A study's command with two seeds more than it has."""
    asked = r" --(add-seeds|seeds) (\d+)"
    if not re.search(asked, command):
        return f"{command} --add-seeds 2"
    return re.sub(asked, lambda found: f" --{found[1]} {int(found[2]) + 2}", command)


def _missing(rows: Sequence[Judged]) -> list[str]:
    """Every command that would turn undetermined rows into verdicts, once."""
    return list(dict.fromkeys(command for row in rows if (command := _command(row))))


# ---- what the paper is silent about


def _silent(paper: Mapping[str, Any], found: Mapping[str, Sequence[Results]]) -> list[dict[str, Any]]:
    """Each silence, with what its study measured of its arms against its baseline."""
    rows = []
    for silence in paper["silent"]:
        trained = silence["study"] != "generalisation"
        results = nearest(found.get(silence["study"], ()), paper, dataset="cifar10", trained=trained)
        arms = [] if results is None else [arm for arm in arms_of(results) if not arm["is_baseline"]]
        rows.append({
            "about": silence["about"], "study": silence["study"],
            "measured": [] if results is None else [_effect(results, arm) for arm in arms],
            "basis": _where(results),
            "command": f"python -m study.ablate --study {silence['study']} --profile cifar10",
        })  # fmt: skip
    rows.append(_seeds(found, paper))
    return rows


def _effect(results: Results, arm: Mapping[str, Any]) -> dict[str, str]:
    probe, baseline = probe_of(results), baseline_of(results)
    difference = paired(arm, baseline, probe)
    return {
        "arm": f"{arm['name']} over {baseline['name']}", "text": _value(difference, "points"),
        "interval": _bounds(difference, "points"), "measure": measure_name(probe),
    }  # fmt: skip


def _seeds(found: Mapping[str, Sequence[Results]], paper: Mapping[str, Any]) -> dict[str, Any]:
    """How far the baseline's accuracy spreads over seeds, of which the paper has one."""
    results = nearest(found.get("stem", ()), paper, dataset="cifar10")
    results = results or nearest(found.get("lambda-mu-nu", ()), paper, dataset="cifar10")
    measured = []
    if results is not None:
        baseline, probe = baseline_of(results), probe_of(results)
        entry = baseline["summary"].get(probe) or {}
        if entry.get("sd") is not None:
            measured = [{
                "arm": f"standard deviation over seeds of {baseline['name']}", "measure": measure_name(probe),
                "text": f"{figure_of(entry['sd'], '.2f', 100)} points", "interval": f"n = {entry['n']}",
            }]  # fmt: skip
    return {
        "about": "how many seeds there were", "study": "stem", "measured": measured,
        "basis": _where(results),
        "command": "python -m study.ablate --study stem --profile cifar10",
    }  # fmt: skip


def _where(results: Results | None) -> str:
    return "" if results is None else f"{data_of(results['data'])}, profile {results['profile']}"


# ---- figures


def _losses(found: Mapping[str, Sequence[Results]], paper: Mapping[str, Any]) -> dict[str, Any] | None:
    """The baseline's loss curves, term by term, with its collapse metrics beside them."""
    results = nearest(found.get("lambda-mu-nu", ()), paper, dataset="cifar10")
    if results is None or not figures.histories(baseline_of(results)):
        return None
    baseline = baseline_of(results)
    drawn = []
    for title, keys in (
        ("The three terms, weighted by 25, 25 and 1", ("weighted_invariance", "weighted_variance", "weighted_covariance")),
        ("Invariance and covariance, unweighted", ("invariance", "covariance")),
    ):
        lines = [figures.trace(baseline, key) for key in keys]
        arms = [_line(TERMS[key], baseline, first=key == keys[0]) for key in keys]
        table = panels.lines_table(arms, lines, "epoch")
        drawn.append(figure(f"loss-{keys[0].replace('_', '-')}", title, figures.curves(arms, lines, log=True), table))
    shown = [baseline, *(arm for arm in results["arms"] if arm["name"] == baseline["control"])]
    table = [
        [arm["label"], (arm.get("verdict") or {}).get("name", "–"), *(_metric(arm, key) for key in COLLAPSE)]
        for arm in shown
    ]
    return {
        "figures": drawn, "columns": ["Arm", "Verdict", *COLLAPSE.values()], "rows": table,
        "caption": f"The baseline of lambda-mu-nu, profile {results['profile']}, on {data_of(results['data'])}: mean and "
                   f"range over {_count(len(figures.histories(baseline)), 'seed')}. Collapse metrics are of held-out "
                   "images, unaugmented, in eval mode.",
    }  # fmt: skip


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _line(label: str, arm: Mapping[str, Any], *, first: bool) -> dict[str, Any]:
    return {"label": label, "is_control": False, "is_baseline": first, "verdict": arm.get("verdict")}


def _metric(arm: Mapping[str, Any], key: str) -> str:
    entry = arm["summary"].get(key)
    return "–" if not entry else figure_of(entry["mean"])


def _accuracy(arm: Mapping[str, Any], probe: str) -> str:
    entry = arm["summary"].get(probe)
    return "–" if not entry else f"{figure_of(entry['mean'], '.2f', 100)} %"


def _longer(found: Mapping[str, Sequence[Results]]) -> dict[str, Any] | None:
    """The longer run of the baseline: accuracy on validation while training, and what it came to on test."""
    results = next((one for one in found.get("longer", ()) if dataset_of(one["data"]) == "cifar10"), None)
    arm = None if results is None else next((one for one in arms_of(results) if one["is_baseline"]), None)
    if results is None or arm is None:
        return None
    line = figures.trace(arm, "knn")
    arms = [_line(arm["label"], arm, first=True)]
    percent = (line[0], [tuple(100 * value for value in point) for point in line[1]])
    drawn = [figure("longer-knn", "k-NN accuracy on validation while training, %", figures.curves(arms, [percent]),
                    panels.lines_table(arms, [percent], "epoch"))] if line[0] else []  # fmt: skip
    shown = [arm, *(one for one in results["arms"] if one["name"] == arm["control"] and one["summary"])]
    names = [name for name in ("linear", "linear_cached", "knn_20", "knn_200") if name in arm["summary"]]
    own = settings_of(results, arm)
    said = ", ".join(f"{key} {plain(own[f'pretrain.{key}'])}" for key in ("backbone", "width", "epochs"))
    n = max((arm["summary"][name]["n"] for name in names), default=0)
    return {
        "figures": drawn, "columns": ["Network", *(f"Test: {measure_name(name)}" for name in names)],
        "rows": [[one["label"], *(_accuracy(one, name) for name in names)] for one in shown],
        "caption": f"{said} on {results['data']['train']:,} training images of {data_of(results['data'])}, profile "
                   f"{results['profile']}; {'mean of ' if n > 1 else ''}{_count(n, 'seed')}, without an interval. "
                   f"{command_of(results)}",
    }  # fmt: skip


def _map(maps: Sequence[Results], paper: Mapping[str, Any]) -> dict[str, Any] | None:
    """The map that the claims about one are judged by; where there is none of CIFAR-10, that of CIFAR-100."""
    shown = nearest_map(maps, paper, dataset="cifar10") or nearest_map(maps, paper, dataset="cifar100")
    if shown is None:
        return None
    view = panels.map_of({"arms": []}, shown)
    own = shown["recipe"]
    recipe = ", ".join(f"{key} {plain(own[f'pretrain.{key}'])}" for key in ("backbone", "width", "stem", "epochs"))
    view["caption"] = view["caption"].replace(", which is not one of this study's", f" ({recipe})")
    view["space"] = None
    return view


# ---- the field, and what was used


def _field(series: Sequence[Mapping[str, Any]], found: Mapping[str, Sequence[Results]]) -> dict[str, Any]:
    """Published numbers of others beside a measurement of the same protocol; how many series have none."""
    rows, others = [], 0
    every = [results for studies in found.values() for results in studies]
    for one in series:
        fit = one.get("probe") == "linear" and "settings" in one
        on = [results for results in every if fit and dataset_of(results["data"]) == one["dataset"]]
        told = [row for results in on for arm in arms_of(results) if (row := _beside(one, results, arm))]
        rows, others = rows + told, others + (not told)
    return {"rows": rows, "others": others, "all": len(series)}


def _beside(one: Mapping[str, Any], results: Results, arm: Mapping[str, Any]) -> dict[str, str] | None:
    """A published number and ours, where every setting that it gives is ours; None elsewhere."""
    own, entry = settings_of(results, arm), arm["summary"].get("linear")
    whole = {"settings": one["settings"], "filled": {}, "probe_settings": {}, "filled_probe": {},
             "crop_scale": own.get("pretrain.augmentation.crop_scale")}  # fmt: skip
    apart = [text for text in differences(results, arm, whole) if not text.startswith("views:")]
    value = one["rows"].get("all" if one["varies"] == "none" else own.get(one["varies"]))
    if entry is None or value is None or apart:
        return None
    return {
        "source": one["source"], "protocol": one["protocol"], "paper": f"{value:.2f} %",
        "arm": f"{results['study']}: {arm['name']} on {data_of(results['data'])}",
        "ours": f"{figure_of(entry['mean'], '.2f', 100)} %", "n": str(entry["n"]),
    }  # fmt: skip


def _used(rows: Sequence[Judged], found: Mapping[str, Sequence[Results]]) -> list[Results]:
    """Every result on a CIFAR, once, those that the claims are judged by first; of other images the page says nothing."""
    every = [row.results for row in rows if row.results is not None and "arms" in row.results]
    every += [results for studies in found.values() for results in studies if dataset_of(results["data"]) is not None]
    return list({id(one): one for one in every}.values())


def _measurement(
    results: Results, changed: Mapping[int, Sequence[str]], links: Mapping[int, Mapping[str, str]]
) -> dict[str, Any]:
    data, environment = results["data"], results["environment"]
    runs = {digest for arm in results["arms"] if not arm["is_control"] for digest in digests(arm)}
    modules = changed.get(id(results)) or ()
    return {
        "study": results["study"], "profile": results["profile"], "links": dict(links.get(id(results), {})),
        "data": f"{data_of(data)}: {data['train']:,} + {data['validation']:,} + {data['test']:,} images",
        "runs": _count(len(runs), "run"),
        "machine": ", ".join(str(environment[key]) for key in ("device", "torch") if environment.get(key)),
        "commits": ", ".join(short(commit) for commit in results.get("commits") or []) or "–",
        "code": "today's" if not modules else f"earlier; changed since: {', '.join(modules)}",
        "command": command_of(results),
    }  # fmt: skip
