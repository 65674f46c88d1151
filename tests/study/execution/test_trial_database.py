"""Optuna's database is a view: nothing that becomes of it stops a study, and it is made again."""

import contextlib
import os
import signal
import sqlite3

import optuna
import pytest
import sqlalchemy
from filelock import FileLock

from study import ablate
from study.execution import trial_database, trial_storage
from study.execution.trial_database import TrialDatabase
from tests.study.execution.small_studies import SPACE, run_next, study_of


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(trial_storage, "WAIT", 0.05)
    monkeypatch.setattr(trial_database, "PAUSE", 0.0)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "optuna.db"


@pytest.fixture
def said():
    return []


@pytest.fixture
def database(path, said):
    made = TrialDatabase(path, say=said.append)
    yield made
    made.close()


def rows(path, name="one"):
    """What the database at `path` holds of a study: number, state, value, parameters and attributes of each trial."""
    trials = optuna.load_study(study_name=name, storage=f"sqlite:///{path}").trials
    return [(trial.number, trial.state.name, trial.value, trial.params, trial.user_attrs) for trial in trials]


def in_memory(study):
    return [(trial.number, trial.state.name, trial.value, trial.params, trial.user_attrs) for trial in study.trials]


@contextlib.contextmanager
def locked(path):
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.rollback()


def test_trials_are_shown_as_they_wait_run_and_end(database, path, said):
    study = study_of("one")
    database.show(study)
    assert [state for _, state, *_ in rows(path)] == ["WAITING"] * 3
    run_next(study, 0.5)
    study.ask(SPACE)
    database.show(study)
    assert [state for _, state, *_ in rows(path)] == ["COMPLETE", "RUNNING", "WAITING"]
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL, params={"arm": "a"}, distributions=SPACE))
    database.show(study)
    assert rows(path) == in_memory(study) and said == []


def test_a_study_of_a_command_before_is_made_anew_and_others_are_kept(database, path, said):
    database.show(study_of("other"))
    database.show(study_of("one"))
    again = study_of("one")
    run_next(again, 0.25)
    later = TrialDatabase(path, say=said.append)
    later.show(again)
    later.close()
    assert rows(path) == in_memory(again) and len(rows(path, "other")) == 3 and said == []


def test_a_database_that_is_locked_at_the_start_stays_and_is_written_at_the_end(database, path, said):
    before = TrialDatabase(path, say=said.append)
    before.show(study_of("other"))
    before.close()
    study = study_of("one")
    with locked(path):
        database.show(study)
        run_next(study, 0.5)
        database.show(study)
        (sentence,) = said
        assert sentence.startswith(f"{path}, Optuna's view of the store, cannot be written (database is locked): runs go on")
    database.close()
    assert rows(path) == in_memory(study) and len(rows(path, "other")) == 3 and len(said) == 1
    assert not list(path.parent.glob("*.damaged"))


def test_a_database_that_is_locked_in_the_middle_is_written_again_later(database, path, said):
    study = study_of("one")
    database.show(study)
    with locked(path):
        run_next(study, 0.5)
        database.show(study)
        assert len(said) == 1
    run_next(study, 0.75)
    database.show(study)
    assert rows(path) == in_memory(study) and len(said) == 1


def test_after_a_failure_there_is_a_pause_in_which_nothing_waits(database, path, said, monkeypatch):
    monkeypatch.setattr(trial_database, "PAUSE", 1e9)
    study = study_of("one")
    with locked(path):
        database.show(study)
    database.show(study)
    assert path.stat().st_size == 0 and len(said) == 1
    database.close()
    assert rows(path) == in_memory(study)


def test_while_another_command_writes_it_no_one_else_does(database, path, said):
    path.parent.mkdir()
    study = study_of("one")
    with FileLock(path.with_name("optuna.db.lock")):
        database.show(study)
        assert not path.exists() and len(said) == 1 and "(another command is writing it)" in said[0]
    database.close()
    assert rows(path) == in_memory(study)


def overwrite(path, content, at):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize("at", [0, 4096])  # the header, of which it is known; a page, of which it is known on reading
def test_what_is_no_database_any_more_is_set_aside_and_made_again(path, said, at):
    first = TrialDatabase(path, say=said.append)
    first.show(study_of("other"))
    first.close()
    overwrite(path, b"\xa5" * (path.stat().st_size - at), at)
    damaged, study = path.read_bytes(), study_of("one")
    second = TrialDatabase(path, say=said.append)
    second.show(study)
    second.close()
    assert rows(path) == in_memory(study) and path.with_suffix(".damaged").read_bytes() == damaged
    assert len(said) == 1 and "was no database any more and is now optuna.damaged; it was made again" in said[0]


def test_a_database_that_is_deleted_in_the_middle_is_made_again(database, path, said):
    study = study_of("one")
    database.show(study)
    path.unlink()
    run_next(study, 0.5)
    database.show(study)
    assert rows(path) == in_memory(study)
    assert len(said) == 1 and "was deleted or replaced; it was made again with this study" in said[0]


def test_a_study_that_was_deleted_on_the_dashboard_is_made_again(database, path, said):
    study = study_of("one")
    database.show(study)
    optuna.delete_study(study_name="one", storage=f"sqlite:///{path}")
    run_next(study, 0.5)
    database.show(study)
    database.show(study)
    assert rows(path) == in_memory(study) and len(said) == 1


@pytest.mark.parametrize(
    "change",
    ["UPDATE alembic_version SET version_num = 'v0.9.0.a'", "ALTER TABLE studies RENAME COLUMN study_id TO identifier"],
)
def test_tables_of_another_version_are_left_as_they_are(path, said, change):
    first = TrialDatabase(path, say=said.append)
    first.show(study_of("one"))
    first.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    content = path.read_bytes()
    second = TrialDatabase(path, say=said.append)
    second.show(study_of("one"))
    second.close()
    assert path.read_bytes() == content and not list(path.parent.glob("*.damaged"))
    assert len(said) == 1 and "if none ever can, delete it" in said[0]
    path.unlink()
    third = TrialDatabase(path, say=said.append)
    third.show(study_of("one"))
    third.close()
    assert len(rows(path)) == 3 and len(said) == 1


def test_a_folder_in_its_place_is_one_sentence(database, path, said):
    path.mkdir(parents=True)
    database.show(study_of("one"))
    database.show(study_of("one"))
    database.close()
    assert len(said) == 1 and "(unable to open database file)" in said[0] and path.is_dir()


FULL = sqlalchemy.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))


@pytest.mark.parametrize(
    ("what", "error"),
    [("create_new_trial", FULL), ("delete_study", FULL), ("create_new_study", PermissionError(13, "Permission denied"))],
)
def test_a_full_disk_or_a_folder_that_may_not_be_written_is_one_sentence(database, path, said, monkeypatch, what, error):
    study = study_of("one")
    database.show(study)

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(trial_database.RDBStorage, what, fail)
        other = TrialDatabase(path, say=said.append)
        other.show(study)
        other.show(study)
        assert len(said) == 1 and ("disk is full" in said[0] or "Permission denied" in said[0])
    other.close()
    assert rows(path) == in_memory(study) and len(said) == 1


# ---- whole commands


def lock_it(path):
    connection = sqlite3.connect(path, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


@pytest.mark.slow
def test_a_command_on_a_locked_database_ends_well_and_says_so_once(finished, command):
    path = finished.folder / "store" / "optuna.db"
    before = path.read_bytes()
    with contextlib.closing(lock_it(path)):
        status, _, errors = command(ablate.main, "--study", "tiny")
        assert status == 0 and errors.count("note: ") == errors.count("\n") == 1 and "database is locked" in errors
    assert path.read_bytes() == before and len(finished.trials("quest")) == 4
    assert command(ablate.main, "--study", "tiny")[::2] == (0, "")


@pytest.mark.slow
def test_a_search_does_not_depend_on_its_database(project, inline, undisturbed, command, befall):
    path = project.folder / "store" / "optuna.db"
    befall(lambda: path.write_bytes(b"no database " * 500), nu=1)
    status, _, errors = command(ablate.main, "--study", "quest")
    assert status == 0 and errors.count("note: ") == 1
    assert project.results("quest") == undisturbed.results("quest")
    assert len(project.trials("quest")) == 4


@pytest.mark.slow
def test_commands_that_are_started_together_on_a_new_store_all_end_well(project, monkeypatch):
    monkeypatch.setattr(trial_storage, "WAIT", 10.0)
    text = (project.studies / "tiny.yaml").read_text()
    (project.studies / "other.yaml").write_text(text.replace("nu", "mu").replace("pretrain.mu: 1", "pretrain.mu: 25"))
    for attempt in range(2):
        given = ["--store", f"store-{attempt}"]
        started = [project.start("--study", name, "--arm", "untrained", *given) for name in ("tiny", "other")]
        assert [one.wait() for one in started] == [0, 0]
        names = optuna.get_all_study_names(f"sqlite:///{project.folder}/store-{attempt}/optuna.db")
        assert sorted(name.partition("@")[0] for name in names) == ["other", "tiny"]


@pytest.mark.slow
def test_a_command_that_is_killed_while_it_makes_the_database_leaves_one_that_the_next_uses(
    project, inline, monkeypatch, command
):
    with monkeypatch.context() as patch:
        patch.setattr(trial_database.RDBStorage, "create_new_study", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        assert project.start("--study", "tiny").wait() == -signal.SIGKILL
    assert command(ablate.main, "--study", "tiny")[::2] == (0, "")
    assert len(project.trials("tiny")) == 3


@pytest.mark.slow
def test_a_storage_that_cannot_be_opened_stops_no_study_and_its_password_is_nowhere(project, inline, command):
    address = "nobase://me:secret@host/trials"
    status, output, errors = command(ablate.main, "--study", "tiny", "--set", f"ablate.storage={address}")
    assert status == 0 and errors.count("note: ") == errors.count("\n") == 1 and "nobase://me:***@host/trials" in errors
    assert "secret" not in output + errors
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert len(files) > 10 and [path for path in files if b"secret" in path.read_bytes()] == []
