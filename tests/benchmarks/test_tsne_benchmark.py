"""The benchmark of t-SNE maps made-up features both ways, and says by how much a map is worse."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from benchmarks import tsne
from study.config.load import load_config
from study.projection.maps import purity
from study.projection.neighbours import nearest


def test_both_ways_are_timed_on_the_same_features():
    settings = replace(load_config().project, perplexity=10, iterations=250)
    results = tsne.compare(points=80, width=16, reference=True, settings=settings)
    assert list(results["measured"]) == ["ours, 2-D", "scikit-learn, 2-D", "ours, 3-D", "scikit-learn, 3-D"]
    assert all(one["seconds"] > 0 and 0 < one["trustworthiness"] <= 1 for one in results["measured"].values())
    assert results["quality"]["3d"]["trustworthiness"] == pytest.approx(
        results["measured"]["ours, 3-D"]["trustworthiness"], abs=0.02
    )  # of points to two decimals


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot hold a process to a core")
def test_both_ways_are_held_to_one_core_and_the_stage_is_not(monkeypatch):
    seen, cores = [], len(os.sched_getaffinity(0))

    def watched(name):
        original = getattr(tsne, name)

        def call(*arguments, **named):
            with ThreadPoolExecutor(1) as pool:
                seen.append((name, pool.submit(lambda: len(os.sched_getaffinity(0))).result()))
            return original(*arguments, **named)

        monkeypatch.setattr(tsne, name, call)

    for name in ("nearest", "tsne", "TSNE", "trustworthiness", "project_features"):
        watched(name)
    settings = replace(load_config().project, perplexity=10, iterations=250)
    results = tsne.compare(points=80, width=16, reference=True, settings=settings)
    quality = [("nearest", cores), ("trustworthiness", cores)]
    maps = [("nearest", 1), ("tsne", 1), *quality, ("TSNE", 1), *quality]
    assert seen == [("nearest", cores), ("tsne", cores), *maps, *maps, ("project_features", cores)]
    assert all(0 <= one["foreign_load"] <= 1 for one in results["measured"].values())


def test_clusters_that_are_mapped_overlap():
    features, labels = tsne.made_up(points=2000, width=512)
    assert 0.5 < purity(nearest(features, count=10)[0], labels) < 0.9


def test_what_is_lost_is_the_largest_difference_to_the_reference():
    good, worse = {"purity": 0.9, "trustworthiness": 0.95}, {"purity": 0.88, "trustworthiness": 0.96}
    measured = {"ours, 2-D": worse, "scikit-learn, 2-D": good, "ours, 3-D": good, "scikit-learn, 3-D": good}
    assert tsne.lost(measured) == pytest.approx(0.02)
    assert tsne.lost({"ours, 2-D": good, "ours, 3-D": worse}) == 0


def test_command_prints_a_table_and_writes_what_it_measured(monkeypatch, tmp_path, capsys):
    out = tmp_path / "tsne.json"
    monkeypatch.setattr(sys, "argv", ["tsne", "--points", "60", "--width", "8", "--out", str(out)])
    assert tsne.main() == 0
    assert '"trustworthiness"' in out.read_text() and "| ours, 3-D |" in capsys.readouterr().out
