"""Runs and where they come from, as a report prints them."""

from study.reporting.formatting import figure_of, measure_name, plain, role, seeds_of, short, without_paths
from study.reporting.panels import run_name


def failures(arms):
    return [{"arm": arm["label"], "seed": run["seed"], "status": run["status"], "digest": short(run["digest"]),
             "reason": without_paths(run.get("reason") or "no reason recorded"), "command": arm["command"]}
            for arm in arms for run in arm["runs"] if run["status"] != "finished"]  # fmt: skip


def run_rows(arms, study, timing=None):
    primary, took = study["primary"], (timing or {"runs": {}})["runs"]
    top1 = lambda run, split: figure_of(((run.get(split) or {}).get(primary) or {}).get("top1"), ".1f", 100)  # noqa: E731
    rank = lambda run: figure_of(((run.get("collapse") or {}).get("embeddings") or {}).get("rankme"), ".1f")  # noqa: E731
    return [{"arm": arm["label"], "role": role(arm), "seed": run["seed"], "digest": short(run["digest"]),
             "status": run["status"],
             "verdict": "untrained" if arm["is_control"] else (run.get("verdict") or {}).get("name") or "–",
             "validation": top1(run, "validation"), "test": top1(run, "test"), "rank": rank(run),
             "seconds": figure_of((took.get(run["digest"]) or {}).get("seconds"), ".0f"),
             "commit": short(run.get("commit")), "command": run.get("command") or arm["command"]}
            for arm in arms for run in arm["runs"]]  # fmt: skip


def provenance(study):
    data = study["data"]
    seeds = ", ".join(map(str, seeds_of(study["arms"])))
    return {
        "data": data.get("digest") or "–", "commits": study.get("commits") or [], "seeds": seeds,
        "versions": [f"{key} {plain(value)}" for key, value in study["environment"].items()],
        "recipe": [(key, plain(value)) for key, value in study["recipe"].items()],
        "command": study.get("command") or "",
    }  # fmt: skip


def certificate_of(certificate):
    """What running some runs again showed: {text, rows} or None."""
    if not certificate:
        return None
    rows = [[run["label"], plain(run["seed"]), short(run["digest"]), run["outcome"],
             figure_of(run.get("largest_difference"), ".3g")]
            for run in certificate["runs"]]  # fmt: skip
    columns = ["Arm", "Seed", "Run", "Outcome", "Largest difference"]
    return {"text": certificate["sentence"], "rows": rows, "columns": columns}


def evaluation_table(study, evaluation):
    if evaluation is None:
        return None
    trained, control = evaluation.get("trained") or {}, evaluation.get("control") or {}
    rows = [(measure_name(name), figure_of(trained.get(name), ".1f", 100), figure_of(control.get(name), ".1f", 100))
            for name in dict.fromkeys([*trained, *control])]  # fmt: skip
    return {"run": run_name(study, evaluation.get("digest")), "rows": rows}
