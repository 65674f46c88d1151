"""The command that compares: where its results come from, and what it prints and writes."""

import gzip
import hashlib
import json
import lzma
import subprocess

import pytest
import yaml

from study import ablate, compare
from tests.study.reading import read_html, read_markdown

pytestmark = pytest.mark.usefixtures("inline", "untold")

# ---- where results come from


def test_a_path_its_folder_and_a_studys_name_are_the_same_results(finished, command):
    for text in ("results/ablate/tiny/study.json", "results/ablate/tiny", "tiny"):
        status, output, _ = command(compare.main, text, "tiny")
        assert status == 0 and "All 3 runs they share are the same in both" in output


def test_commits_are_those_of_the_file_of_times_beside_the_results(finished, command):
    path = finished.folder / "results/ablate/tiny/timing.json"
    timing = json.loads(path.read_bytes())
    timing["runs"] = {digest: {**run, "commit": "0123456789ab"} for digest, run in timing["runs"].items()}
    path.write_text(json.dumps(timing))
    _, output, _ = command(compare.main, "tiny", "quest")
    assert "A is tiny: study tiny, profile tiny. It has 3 arms; runs: 3 finished; commit: 0123456789ab." in output


def test_two_studies_meet_in_the_runs_they_share(finished, command):
    _, output, _ = command(compare.main, "tiny", "quest")
    assert "All 2 runs they share are the same in both" in output  # the recipe under two names, and the control
    assert "A alone has 1 arm: ν 2 (" in output


def test_another_profile_is_read_from_the_store_and_what_is_missing_is_missing(finished, command):
    params = finished.folder / "params.yaml"
    settings = yaml.safe_load(params.read_text())
    empty = {section: {} for section in ("prepare", "pretrain", "evaluate", "project")}
    settings["profiles"]["other"] = {**empty, "ablate": {"probes": ["knn"], "device": "cpu", "workers": 1}}
    params.write_text(yaml.safe_dump(settings))
    finished.set({"pretrain.epochs": 4})
    status, output, errors = command(compare.main, "tiny", "tiny@tiny")
    assert (status, errors) == (0, "") and "1 parameter changed: epochs 3 → 4" in output
    assert "seed 0 finished → missing" in output  # the control is there: it does not train, so no epochs are in it
    status, _, errors = command(compare.main, "tiny", "tiny@none")
    assert status == 2 and "profile must be one of" in errors


def git(*arguments):
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments], check=True, capture_output=True
    )


@pytest.fixture
def kept(finished):
    """A repository whose first revision has the results of `tiny` in DVC's cache, by its lock."""
    content = finished.results("tiny")
    md5 = hashlib.md5(content).hexdigest()
    cached = finished.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    (finished.folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
    lock = {"stages": {"ablate@tiny": {"outs": [{"path": "results/ablate/tiny/study.json", "md5": md5}]}}}
    (finished.folder / "dvc.lock").write_text(json.dumps(lock))
    git("init", "-q")
    git("add", "dvc.lock")
    git("commit", "-qm", "results")
    return cached


def test_results_at_a_revision_come_from_dvcs_cache(kept, finished, command):
    finished.set({"pretrain.vicreg.mu": 7})
    assert ablate.main(["--study", "tiny"]) == 0
    status, output, _ = command(compare.main, "HEAD:tiny", "tiny")
    assert status == 0 and "1 parameter changed: mu 25 → 7" in output
    assert "A is HEAD:tiny: study tiny" in output


def test_results_that_the_cache_holds_no_more_are_said_to_be_gone(kept, command):
    kept.unlink()
    status, _, errors = command(compare.main, "HEAD:tiny", "tiny")
    assert (
        status == 2
        and "results/ablate/tiny/study.json at HEAD is no longer in DVC's cache" in errors
        and errors.count("\n") == 1
    )


@pytest.mark.parametrize(("suffix", "pack"), [(".json.xz", lzma.compress), (".json.gz", gzip.compress)])
def test_what_a_revision_keeps_serves_where_the_cache_has_nothing(kept, finished, command, suffix, pack):
    content = kept.read_bytes()
    kept.unlink()
    path = finished.folder / f"reports/measured/tiny/tiny{suffix}"
    path.parent.mkdir(parents=True)
    path.write_bytes(pack(content))
    git("add", "-f", path.relative_to(finished.folder).as_posix(), "params.yaml")
    git("commit", "-qm", "kept")
    path.unlink()
    for text in ("HEAD:tiny", "HEAD:tiny@tiny"):  # of the profile that params.yaml named then, or of another
        status, output, _ = command(compare.main, text, "tiny")
        assert status == 0 and f"A is {text}: study tiny, profile tiny" in output
        assert "All 3 runs they share are the same in both" in output


def test_kept_results_are_compared_by_their_file_and_by_their_profile(finished, command):
    path = finished.folder / "reports/measured/tiny/tiny.json.xz"
    path.parent.mkdir(parents=True)
    path.write_bytes(lzma.compress(finished.results("tiny")))
    status, output, _ = command(compare.main, "reports/measured/tiny/tiny.json.xz", "tiny")
    assert status == 0 and "All 3 runs they share are the same in both" in output
    status, output, _ = command(compare.main, "tiny@tiny", "tiny", "--store", "empty")
    assert status == 0 and "All 3 runs they share are the same in both" in output
    path.write_bytes(path.read_bytes()[:-9])
    status, _, errors = command(compare.main, "tiny@tiny", "tiny", "--store", "empty")
    assert status == 2 and "reports/measured/tiny/tiny.json.xz must be an xz file, but is damaged" in errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HEAD:nothing", "revision HEAD has no results of a study 'nothing'"),
        ("never:tiny", "revision 'never' must be one that git knows, but it is none here"),
        ("HEAD:tiny@elsewhere", "it keeps no reports/measured/elsewhere/tiny.json.xz"),
        ("nothing", "results/ablate/nothing/study.json must be the results of a study, but: No such file"),
    ],
)
def test_results_that_are_not_there_are_one_sentence(kept, command, text, said):
    status, _, errors = command(compare.main, text, "tiny")
    assert status == 2 and said in errors and errors.count("\n") == 1


def test_a_margin_that_is_none_is_refused(finished, command):
    status, _, errors = command(compare.main, "tiny", "tiny", "--margin", "0")
    assert status == 2 and "--margin must be above 0, but got 0.0" in errors


# ---- pages


def test_the_pages_say_what_the_terminal_says_and_their_bytes_are_the_same_each_time(finished, command):
    written = []
    for folder in ("one", "two", "two"):  # a page replaces a page
        status, output, _ = command(compare.main, "tiny", str(finished.folder / "results/ablate/quest"), "--out", folder)
        assert status == 0
        written.append(
            [(finished.folder / folder / name).read_text(encoding="utf-8") for name in ("index.html", "README.md")]
        )
    assert written[0] == written[1] == written[2]
    for text in written[0]:
        assert str(finished.folder) not in text and "http" not in text
        assert "All 2 runs they share are the same in both" in text and "untrained" in text
    assert written[0][0].count("<script") == 1  # the page's own
    page, twin = read_html(written[0][0]), read_markdown(written[0][1])
    assert page.tables == twin.tables and page.headings == twin.headings
    assert page.tables[0][0] == ["Setting", "Collapse type", "A", "B", "B − A, points"]
    assert page.tables[1][0][:3] == ["Setting", "n", "p (Holm)"]  # and the rest is folded
