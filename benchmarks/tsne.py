"""t-SNE in two and three dimensions of made-up features: seconds and quality, beside scikit-learn's.

    python -m benchmarks.tsne [--reference] [--points 10000] [--width 512] [--out FILE]

Each map alone on one core, with `--reference` followed at once by scikit-learn's Barnes-Hut t-SNE on one core (a quarter of
an hour at the default size), and then all that the stage `project` makes of features: both maps side by side, with their
quality. Only Linux can hold a process to one core: elsewhere our search of neighbours takes all. Exit status: 1 where the
stage takes two minutes or more, or where purity or trustworthiness is more than 0.01 below scikit-learn's.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from benchmarks.measure import RESULTS, foreign_share, machine, processor_time, table, write
from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from study.config.load import load_config
from study.config.sections import ProjectSettings
from study.projection.maps import NEIGHBOURS, project_features, purity
from study.projection.neighbours import nearest, trustworthiness
from study.projection.tsne import EXPLORATION, attracting, tsne
from vicreg.errors import InputError

CLASSES = 10
FACTORS = 16  # directions in which the images of a class differ
MOST_SECONDS, MOST_LOSS = 120, 0.01
OURS, REFERENCE = "ours", "scikit-learn"


def main() -> int:
    parser = Parser("benchmarks.tsne", __doc__.partition("\n")[0])
    parser.add_argument("--points", type=positive, default=10_000)
    parser.add_argument("--width", type=positive, default=512, help="dimensions of the features")
    parser.add_argument("--reference", action="store_true", help="time scikit-learn's t-SNE, too")
    parser.add_argument("--out", type=Path, default=RESULTS / "tsne.json")
    arguments = parser.parse_args()
    settings = load_config().project
    if arguments.points <= settings.perplexity or arguments.width < 3:
        raise InputError(
            f"--points must be above project.perplexity, {settings.perplexity:g}, and --width at least 3, but got "
            f"{arguments.points} and {arguments.width}."
        )
    results = compare(points=arguments.points, width=arguments.width, reference=arguments.reference, settings=settings)
    write(arguments.out, {"machine": machine(torch.device("cpu")), **results})
    print(table([{"": name, **shown(one)} for name, one in results["measured"].items()]))
    print(f"{arguments.points} x {arguments.width}: all of it takes {results['seconds']:.1f} s, while other processes used "
          f"{results['foreign_load']:.0%} of the cores")  # fmt: skip
    return int(results["seconds"] >= MOST_SECONDS or lost(results["measured"]) > MOST_LOSS)


def made_up(*, points: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, d) in clusters that overlap, and their classes (N,): a class spreads in directions of its own and in
    common ones. At the default size 87 of 100 neighbours are of the same class."""
    draw = np.random.default_rng(0)
    labels = np.arange(points) % CLASSES
    centres = 0.15 * draw.standard_normal((CLASSES, width))
    directions = 0.1 * draw.standard_normal((CLASSES, FACTORS, width))
    common = 0.1 * draw.standard_normal((FACTORS, width))
    of_class, of_all = draw.standard_normal((2, points, FACTORS))
    features = centres[labels] + of_all @ common + 0.3 * draw.standard_normal((points, width))
    for label in range(CLASSES):
        features[labels == label] += of_class[labels == label] @ directions[label]
    return features, labels


@contextmanager
def one_core() -> Iterator[None]:
    """Hold this thread, and all that it starts meanwhile, to one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        with threadpool_limits(limits=1):
            yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        with threadpool_limits(limits=1):  # threads that were started before are on other cores
            yield
    finally:
        os.sched_setaffinity(0, cores)


def compare(*, points: int, width: int, reference: bool, settings: ProjectSettings) -> dict[str, Any]:
    """Seconds and quality of each map by name, and the seconds of all that the stage makes of features.

    With each time stands the share of all cores that others used meanwhile.
    """
    features, labels = made_up(points=points, width=width)
    few = features[:64]
    tsne(few, *nearest(few, count=16), dimensions=(2,), perplexity=5, iterations=EXPLORATION, seed=0)  # compiles: 2 s

    def ours(n: int) -> np.ndarray:
        near = nearest(features, count=attracting(points, perplexity=settings.perplexity))
        (mapped,) = tsne(features, *near, dimensions=(n,), perplexity=settings.perplexity, iterations=settings.iterations,
                         seed=settings.seed)  # fmt: skip
        return mapped

    def theirs(n: int) -> np.ndarray:
        return TSNE(
            n, perplexity=settings.perplexity, max_iter=settings.iterations, init="pca", random_state=settings.seed,
            n_jobs=1,
        ).fit_transform(features)  # fmt: skip

    ways: dict[str, Callable[[int], np.ndarray]] = {OURS: ours, **({REFERENCE: theirs} if reference else {})}
    measured = {}
    for n in (2, 3):
        for name, way in ways.items():
            with one_core():
                before, started = processor_time(), time.perf_counter()
                mapped = way(n)
                seconds, load = time.perf_counter() - started, foreign_share(before, processor_time())
            near, _ = nearest(mapped, count=NEIGHBOURS)
            (trusted,) = trustworthiness(features, [near])
            measured[f"{name}, {n}-D"] = {
                "seconds": seconds, "foreign_load": load, "purity": purity(near, labels), "trustworthiness": trusted,
            }  # fmt: skip
    before, started = processor_time(), time.perf_counter()
    content = project_features(features, labels, classes=list(map(str, range(CLASSES))), settings=settings)
    return {
        "points": points, "width": width, "measured": measured, "seconds": time.perf_counter() - started,
        "foreign_load": foreign_share(before, processor_time()), "quality": content["quality"],
    }  # fmt: skip


def shown(one: Mapping[str, float]) -> dict[str, str]:
    """A row of the table."""
    shares = {key: f"{one[key]:.4f}" for key in ("purity", "trustworthiness")}
    return {"s": f"{one['seconds']:.1f}", "others' share of the cores": f"{one['foreign_load']:.0%}", **shares}


def lost(measured: Mapping[str, Mapping[str, float]]) -> float:
    """The largest difference by which a share is lower than scikit-learn's; 0 where none was measured."""
    differences = [
        measured[f"{REFERENCE}, {n}-D"][key] - measured[f"{OURS}, {n}-D"][key]
        for n in (2, 3) if f"{REFERENCE}, {n}-D" in measured for key in ("purity", "trustworthiness")
    ]  # fmt: skip
    return max([0.0, *differences])


if __name__ == "__main__":
    run_command(main)
