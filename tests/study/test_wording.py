"""What the pages print beside a study's own sentences is in the same plain words: the index and the source paper's page."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from study.analysis.wording import word_count
from study.overview.view import build_view as overview_of
from study.paper.claims.judge import judge
from study.paper.copy_cost import CodingCost, CopyCost
from study.paper.page.build import build_view as paper_view_of
from study.paper.page.measurements import Source
from study.reporting.glossary import TYPE_GLOSSARY, glossary_of
from study.reporting.panels.maps import map_view
from study.reporting.terms import VICREG
from study.results.files import results_from_values
from study.verification.freshness import Freshness
from tests.study.analysis.sentences import PLURAL, RIDDLES, SINGULAR, sentences
from tests.study.made_up import Plans
from tests.study.made_up_paper import FEW, JPEG, PUBLISHED, Paper, around, projection
from tests.study.made_up_reports import every_mode, without_figures

NO_PROSE = ("svg", "figure", "figures", "command", "commands", "recipe", "html", "links")  # keys of a view


@pytest.fixture(autouse=True)
def sketched(monkeypatch) -> None:
    without_figures(monkeypatch)


def texts_of(view: Any) -> Iterator[str]:
    """Yield every text of a view but drawings and commands."""
    if isinstance(view, str):
        if "</" not in view:
            yield view
    elif isinstance(view, Mapping):
        for key, value in view.items():
            yield from () if key in NO_PROSE else texts_of(value)
    elif isinstance(view, Sequence):
        for value in view:
            yield from texts_of(value)


def assert_plain(view: Any, *, at_least: int) -> None:
    """Assert of all sentences of a view that they are short and have no riddle and no `1 runs`."""
    told = {one for text in texts_of(view) for one in sentences(text)}
    assert len(told) >= at_least
    assert [one for one in told if word_count(one) > 25] == []
    assert [one for one in told if any(riddle in f"{one} " for riddle in RIDDLES)] == []
    assert [one for one in told if SINGULAR.search(one) or PLURAL.search(one)] == []


@pytest.mark.slow
def test_the_index_is_written_in_plain_words(tiny_config, digits):
    modes = every_mode(Plans(tiny_config, digits))
    studies = [dataclasses.replace(results_from_values(one, where=name), study=name) for name, one in modes.items()]
    stale = {one.study: Freshness() for one in studies}
    for some in (studies, studies[:1], []):
        view = overview_of(
            some, profile="p", elsewhere=[], wanted=[*(one.study for one in some), "absent"], certificates={}, links={},
            headlines={}, checked=stale,
        )  # fmt: skip
        assert_plain(view, at_least=1)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)])
def test_the_page_on_the_source_paper_is_written_in_plain_words(digits, seeds):
    paper = Paper(digits)
    names = ("stem", "epochs", "batch-size", "lambda-mu-nu", "convention", "augmentation", "base-lr", "lars")
    found = {name: [paper.results(name, around(0.7), seeds=seeds)] for name in names}
    found["generalisation"] = [paper.given(seeds=seeds)]
    sources = [Source(results=one, changed=("vicreg/methods/vicreg.py",)) for studies in found.values() for one in studies]
    maps = [projection()]
    view = paper_view_of(judge(found, maps, PUBLISHED.source_paper), sources, maps, PUBLISHED, failures={})
    assert_plain(view, at_least=150)


@pytest.mark.slow
def test_the_page_on_a_copy_and_on_a_smaller_scale_is_written_in_plain_words(digits):
    paper, few = Paper(digits), {**JPEG, **FEW}
    found = {name: [paper.results(name, around(0.7), data=JPEG)] for name in ("stem", "epochs", "batch-size", "base-lr")}
    found["lambda-mu-nu"] = [paper.results("lambda-mu-nu", around(0.5), data=few, profile="cifar10-cpu")]
    sources = [Source(results=one) for studies in found.values() for one in studies]
    maps = [projection(data=few)]
    moved = CodingCost(probe="linear_cached", coded="train and test", n=8, mean=-0.003, low=-0.009, high=0.002, psnr=30.5)
    rows = judge(found, maps, PUBLISHED.source_paper)
    for cost in (CopyCost(), CopyCost(cifar10=moved, digits=moved, copy=moved)):
        assert_plain(paper_view_of(rows, sources, maps, PUBLISHED, failures={}, cost=cost), at_least=100)


def test_the_page_on_the_source_paper_is_plain_without_any_measurement():
    view = paper_view_of(judge({}, [], PUBLISHED.source_paper), [], [], PUBLISHED, failures={})
    assert_plain(view, at_least=30)


def test_glossary_and_maps_are_written_in_plain_words():
    assert_plain([text for _, text in [*TYPE_GLOSSARY, *glossary_of(VICREG), *glossary_of({})]], at_least=20)
    view = map_view(projection(), run="run 0123456789ab, which is seed 0 of arm “λ 25, μ 25, ν 1”")
    assert_plain([view["caption"], view["quality"]], at_least=3)
