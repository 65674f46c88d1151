"""The report of a study: one self-contained HTML page and its Markdown twin, rendered from one view.

It computes no result: numbers come from `study.json`, and are formatted in one place, so that the twins cannot disagree.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

from study.reporting.render import write
from study.reporting.view import build_view
from study.results.certificate import certificate_from_values, certified
from study.results.files import results_from_values
from study.results.json_values import to_values
from vicreg.errors import InputError

REQUIRED = ["study", "profile", "mode", "question", "hypothesis", "baseline", "primary", "data", "environment", "answer",
            "recipe", "arms"]  # fmt: skip
REQUIRED_ARM = ["name", "label", "is_baseline", "is_control", "settings", "command", "summary", "runs"]
REQUIRED_RUN = ["seed", "digest", "status", "history", "test", "collapse"]


def read(path, required):
    """The JSON object in the file at `path`, checked to have the keys `required`; raises InputError in one sentence."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} must be a readable file, but: {error.strerror}; run the stage that writes it first."
        ) from None
    except ValueError as error:
        raise InputError(
            f"{path} must be JSON, but it is malformed ({error}); run the stage that writes it again."
        ) from None
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
        raise InputError(f"{path} must have one point of each kind an image, but has {counts[0]} points in 2-D, "
                         f"{counts[1]} in 3-D and {counts[2]} labels; run the project stage again.")  # fmt: skip
    if not set(project["labels"]) <= set(range(len(project["classes"]))):
        raise InputError(f"{path} must have labels from 0 to {len(project['classes']) - 1}, one for each of its classes, "
                         f"but goes up to {max(project['labels'])}; run the project stage again.")  # fmt: skip
    return project


def read_curves(path):
    """The linear protocol epoch by epoch: rows of (network, split, epoch, top1) from the CSV at `path`."""
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            return [(row["network"], row["split"], int(row["epoch"]), float(row["top1"])) for row in csv.DictReader(lines)]
    except OSError as error:
        raise InputError(
            f"{path} must be a readable file, but: {error.strerror}; run the stage that writes it first."
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} must have the columns network, split, epoch and top1, but is malformed ({error}); run the "
                         "evaluate stage again.") from None  # fmt: skip


def read_certificate(path, study, where):
    """What a certificate says of a study's results, or None where it says nothing of them."""
    certificate = certificate_from_values(read(path, ["study", "runs", "tolerance", "environment", "sentence"]), where=path)
    held = certified(certificate, results_from_values(study, where=where))
    return to_values(held) if held else None


def main(arguments=None):
    """The command: read, build, write; a person's mistake is one sentence and status 2."""
    parser = argparse.ArgumentParser(prog="python -m study.report", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", required=True, help="results/ablate/<study>/study.json")
    parser.add_argument("--project", help="results/project/tsne.json")
    parser.add_argument("--evaluate", help="results/evaluate/metrics.json")
    parser.add_argument("--curves", help="results/evaluate/linear.csv")
    parser.add_argument("--timing", help="results/ablate/<study>/timing.json")
    parser.add_argument("--certificate", help="results/verify/<study>.json")
    parser.add_argument("--out", required=True, help="folder of the report, such as reports/<study>")
    options = parser.parse_args(arguments)
    try:
        study = read_study(options.results)
        project = read_project(options.project) if options.project else None
        evaluation = read(options.evaluate, ["trained", "control"]) if options.evaluate else None
        curves = read_curves(options.curves) if options.curves else None
        certificate = read_certificate(options.certificate, study, options.results) if options.certificate else None
        timing = read(options.timing, ["runs"]) if options.timing else None
        write(build_view(study, project, evaluation, curves, certificate, timing), options.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
