"""A run's commit is marked dirty only where what decides its result differs from the commit."""

import subprocess

import pytest

from study.runs.revision import current_commit, files_of

COVERED = ["vicreg.loop:train", "vicreg.methods:find"]
FILES = ("vicreg/loop.py", "vicreg/other.py", "vicreg/methods/__init__.py", "study/report.py", "params.yaml")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A small repository, clean, in which commands run; with the commit's name."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before\n", encoding="utf-8")
    git("init", "--quiet")
    git("add", ".")
    git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "Begin")
    return git("rev-parse", "--short=12", "HEAD")


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=True).stdout.strip()


def change(path, folder):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("after\n", encoding="utf-8")


def test_a_clean_tree_has_the_commit_itself(repository):
    assert current_commit(COVERED) == repository and len(repository) == 12


@pytest.mark.parametrize("path", ["vicreg/other.py", "study/report.py", "study/studies/new.yaml", "vicreg/new.py", "x.txt"])
def test_other_files_that_changed_or_are_new_are_no_matter(repository, tmp_path, path):
    change(path, tmp_path)
    assert current_commit(COVERED) == repository
    assert current_commit() == f"{repository}-dirty"  # of a benchmark, which any file may decide


@pytest.mark.parametrize("path", ["vicreg/loop.py", "vicreg/methods/__init__.py", "params.yaml"])
def test_the_code_that_decides_and_the_parameters_mark_the_commit(repository, tmp_path, path):
    change(path, tmp_path)
    assert current_commit(COVERED) == f"{repository}-dirty"
    git("add", ".")
    assert current_commit(COVERED) == f"{repository}-dirty"  # staged is not committed


def test_code_that_git_does_not_know_yet_marks_the_commit(repository, tmp_path):
    change("vicreg/methods/mine.py", tmp_path)
    assert current_commit(COVERED) == repository
    assert current_commit([*COVERED, "vicreg.methods.mine:Mine"]) == f"{repository}-dirty"


def test_a_module_is_a_file_or_a_package():
    assert files_of(["vicreg.loop:train", "vicreg.loop:Step", "vicreg"]) == [
        "vicreg.py", "vicreg/__init__.py", "vicreg/loop.py", "vicreg/loop/__init__.py",
    ]  # fmt: skip
