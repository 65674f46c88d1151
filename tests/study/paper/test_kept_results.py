"""Results that git keeps, and all that the page is made from."""

import dataclasses
import json
import lzma
from pathlib import Path

import pytest

from study.paper.kept_results import every_result, keep
from study.source_page import main
from tests.study.made_up_paper import (
    Paper,
    map_of,
    write_results,
)
from tests.study.made_up_reports import without_figures
from vicreg.errors import InputError

PAGE, TEXT = Path("reports/source-paper.html"), Path("reports/source-paper.md")


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_kept_of_this_profile_stands_on_the_page_once(place, paper, monkeypatch, capsys):
    without_figures(monkeypatch)
    folder = write_results(Path("results/source_paper/stem"), paper.results("stem"))
    main([])
    before = TEXT.read_text(encoding="utf-8")
    main(["--keep", str(folder)])
    assert [results.study for _, results in every_result()] == ["stem"]
    assert TEXT.read_text(encoding="utf-8") == before


def test_kept_results_have_the_same_bytes_each_time_and_a_report_beside_them(place, paper, monkeypatch, capsys):
    without_figures(monkeypatch)
    folder = write_results(Path("elsewhere"), paper.results("stem"))
    first = keep(folder).read_bytes()
    assert keep(folder) == Path("reports/measured/cifar10/stem.json.xz")
    assert keep(folder).read_bytes() == first
    assert not Path("reports/measured/cifar10/stem/timing.json").exists()
    assert json.loads(lzma.decompress(first)) == json.loads((folder / "study.json").read_bytes())
    assert Path("reports/measured/cifar10/stem/README.md").is_file()


def test_results_of_earlier_code_keep_their_bytes_and_are_shown_as_today_analyses_them(place, paper, monkeypatch, capsys):
    without_figures(monkeypatch)
    of_earlier_code = dataclasses.replace(paper.results("stem"), answer="An old answer.", predictors=())
    folder = write_results(Path("elsewhere"), of_earlier_code)
    path, report = keep(folder), Path("reports/measured/cifar10/stem/README.md")
    assert json.loads(lzma.decompress(path.read_bytes()))["answer"] == "An old answer."
    said = report.read_text(encoding="utf-8")
    assert "Analysed again by today's statistics; the runs are of commit" in said and "An old answer." not in said
    report.unlink()
    main(["--keep", str(write_results(Path("results/source_paper/backbone"), paper.results("backbone")))])
    assert report.read_text(encoding="utf-8") == said  # what is kept of other studies is written anew with it
    ((_, shown),) = [one for one in every_result(kept_only=True) if one[1].study == "stem"]
    assert shown.answer != "An old answer."


def test_a_folder_without_results_is_refused_in_one_sentence(place, command):
    Path("empty").mkdir()
    status, _, errors = command(main, "--keep", "empty")
    assert status == 2
    assert errors.strip() == "error: --keep takes folders that hold a study.json or a tsne.json, but empty holds neither."
    assert not PAGE.exists()


def test_nothing_is_kept_where_one_of_the_folders_is_refused(place, paper, command):
    good = write_results(Path("good"), paper.results("stem"))
    Path("empty").mkdir()
    status, _, errors = command(main, "--keep", str(good), "empty")
    assert status == 2 and "but empty holds neither" in errors and not Path("reports/measured").exists()


def test_a_study_whose_file_would_be_read_as_a_map_is_not_kept(place, paper):
    folder = write_results(Path("one"), dataclasses.replace(paper.results("stem"), study="tsne"))
    with pytest.raises(InputError, match="must be of a study of another name than tsne; rename the study"):
        keep(folder)
    assert not Path("reports/measured").exists()


def test_a_map_that_does_not_say_of_what_it_is_is_refused_and_on_the_page_left_out(place, capsys):
    old = {key: value for key, value in map_of().items() if key not in ("recipe", "profile", "data")}
    folder = write_results(Path("results/project"), old, "tsne.json")
    with pytest.raises(
        InputError, match="tsne.json must have the key 'data', but has none; run python -m study.project again"
    ):
        keep(folder)
    assert main([]) == 0 and "t-SNE in two" not in TEXT.read_text(encoding="utf-8")


def test_results_with_other_settings_over_the_profile_do_not_take_the_place_of_kept_ones(place, paper, monkeypatch, capsys):
    without_figures(monkeypatch)
    keep(write_results(Path("one"), paper.results("stem")))
    other = write_results(Path("other"), paper.results("stem", settings={"pretrain.nu": 2}))
    with pytest.raises(InputError, match="stem.json.xz holds what came of .* which has other settings than"):
        keep(other)
    elsewhere = paper.results("stem", settings={"data.root": "another/folder"})
    assert keep(write_results(Path("elsewhere"), elsewhere)).name == "stem.json.xz"


def test_fewer_runs_or_those_of_another_machine_do_not_take_the_place_of_kept_ones(place, paper, monkeypatch):
    without_figures(monkeypatch)
    whole = paper.results("stem")
    keep(write_results(Path("one"), whole))
    with pytest.raises(InputError, match=r"stem.json.xz holds \d+ runs that these results lack .*; remove it first"):
        keep(write_results(Path("fewer"), paper.results("stem", seeds=(0, 1))))
    assert whole.identity is not None and whole.identity.machinery is not None
    machinery = {**whole.identity.machinery, "device": "cuda (NVIDIA H200)"}
    other = dataclasses.replace(whole, identity=dataclasses.replace(whole.identity, machinery=machinery))
    with pytest.raises(InputError, match=r"holds runs on .*, and these are on cuda \(NVIDIA H200\); remove it first"):
        keep(write_results(Path("other"), other))


def test_seeds_that_are_added_to_kept_runs_have_the_price_of_a_second_look(place, paper, monkeypatch):
    without_figures(monkeypatch)
    first, more = (paper.results("stem", seeds=range(count)) for count in (3, 5))
    assert more.looks is None
    keep(write_results(Path("first"), first))
    keep(write_results(Path("more"), more))
    ((_, kept),) = every_result(kept_only=True)
    assert kept.looks is not None
    assert (kept.looks.look, kept.looks.planned, kept.looks.declared, kept.looks.price) == (2, (3, 5), False, 6)
    keep(write_results(Path("same"), more))  # the same runs again are no further look
    ((_, again),) = every_result(kept_only=True)
    assert again.looks == kept.looks


def test_a_damaged_file_of_kept_results_is_named(place, command):
    path = Path("reports/measured/cifar10/stem.json.xz")
    path.parent.mkdir(parents=True)
    path.write_bytes(lzma.compress(b"{}")[:-9])
    status, _, errors = command(main)
    assert status == 2 and errors.startswith(f"error: {path} must be an xz file, but is damaged")


def test_what_runs_took_and_where_they_were_made_is_kept_with_them(place, paper, monkeypatch):
    without_figures(monkeypatch)
    folder = write_results(Path("results/custom/timed"), paper.results("stem"))
    digest = next(run["digest"] for arm in json.loads((folder / "study.json").read_bytes())["arms"] for run in arm["runs"])
    timing = {"study": "stem", "runs": {digest: {"seconds": 12.5, "joules": None, "commit": "0123456789ab"}}}
    (folder / "timing.json").write_text(json.dumps(timing))
    keep(folder)
    ((_, kept),) = every_result(kept_only=True)
    assert next(run.commit for arm in kept.arms for run in arm.runs if run.digest == digest) == "0123456789ab"
    assert json.loads(Path("reports/measured/cifar10/stem/timing.json").read_bytes()) == timing
    assert "12" in Path("reports/measured/cifar10/stem/README.md").read_text(encoding="utf-8")
