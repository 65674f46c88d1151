"""Other places than the store's own database: what stores share, journals, servers out of reach."""

import json

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from study.execution import trial_storage
from study.execution.trial_database import TrialDatabase
from study.runs.store_id import store_id
from tests.study.execution.small_studies import SPACE, run_next, study_of

NAME = "tiny@digits-1a2b3c4d"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(trial_storage, "WAIT", 0.5)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(params=["journal", "sqlite"])
def shared(request, tmp_path):
    """An address that stores share, and what opens it as a dashboard does."""
    if request.param == "journal":
        path = str(tmp_path / "shared" / "trials.log")
        return f"journal:{path}", lambda: JournalStorage(JournalFileBackend(path))
    address = f"sqlite:///{tmp_path}/shared/trials.db"
    return address, lambda: RDBStorage(address)


@pytest.fixture
def said():
    return []


def tiny():
    study = study_of(NAME)
    study.set_user_attr("question", "Which?")
    return study


def rows(study):
    return [(trial.number, trial.state.name, trial.values, trial.params, trial.user_attrs) for trial in study.trials]


def in_database(opened, name):
    return rows(optuna.load_study(study_name=name, storage=opened()))


def test_two_stores_in_one_database_keep_each_others_studies(tmp_path, shared, said):
    address, opened = shared
    studies = {}
    for _ in range(2):  # a second command of each makes its own study anew
        for store in ("one", "two"):
            database, study = TrialDatabase(tmp_path / store / "optuna.db", address=address, say=said.append), tiny()
            database.show(study)
            run_next(study, 0.25)
            database.show(study)
            waiting = study.ask(SPACE)
            database.show(study)  # it runs, with its parameters
            waiting.set_user_attr("status", "finished")
            study.tell(waiting, 0.5)
            database.show(study)
            database.close()
            studies[f"{study.study_name}@store-{store_id(tmp_path / store)}"] = study
    assert said == [] and sorted(optuna.get_all_study_names(opened())) == sorted(studies) and len(studies) == 2
    for name, study in studies.items():
        assert in_database(opened, name) == rows(study)
        assert optuna.load_study(study_name=name, storage=opened()).user_attrs == {"question": "Which?"}


def test_the_stores_own_database_has_names_without_a_number(tmp_path, said):
    database = TrialDatabase(tmp_path / "store" / "optuna.db", say=said.append)
    database.show(tiny())
    database.close()
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path}/store/optuna.db") == ["tiny@digits-1a2b3c4d"]
    assert not (tmp_path / "store" / "id.json").exists() and said == []


def test_trials_that_are_written_together_are_seen_together_or_not_at_all(tmp_path, said, monkeypatch):
    path = tmp_path / "store" / "optuna.db"
    database, study = TrialDatabase(path, say=said.append), tiny()
    create, made = RDBStorage.create_new_trial, []

    def fail_late(storage, *arguments, **named):
        made.append(create(storage, *arguments, **named))
        if len(made) == 2:
            raise RuntimeError("the disk is gone")
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(RDBStorage, "create_new_trial", fail_late)
        database.show(study)
    assert len(said) == 1 and "the disk is gone" in said[0]
    assert optuna.load_study(study_name=study.study_name, storage=f"sqlite:///{path}").trials == []
    database.close()
    assert in_database(lambda: RDBStorage(f"sqlite:///{path}"), study.study_name) == rows(study)


def test_the_torn_last_line_of_a_writer_that_was_killed_is_cut_off_a_journal(tmp_path, said):
    path = tmp_path / "trials.log"
    for store in ("one", "two"):
        database, study = (
            TrialDatabase(tmp_path / store / "optuna.db", address=f"journal:{path}", say=said.append),
            tiny(),
        )
        database.show(study)
        database.close()
        with open(path, "ab") as file:
            file.write(b'{"op_code": 4, "worker')
    opened = JournalStorage(JournalFileBackend(str(path)))
    assert len(optuna.get_all_study_names(opened)) == 2 and said == []


def test_a_journal_that_is_damaged_in_its_middle_is_set_aside(tmp_path, said):
    path = tmp_path / "trials.log"
    path.write_bytes(b"no JSON\n" + json.dumps({"op_code": 0}).encode() + b"\n")
    database, study = TrialDatabase(tmp_path / "store" / "optuna.db", address=f"journal:{path}", say=said.append), tiny()
    database.show(study)
    database.close()
    assert len(said) == 1 and "is now trials.damaged" in said[0]
    name = f"{study.study_name}@store-{store_id(tmp_path / 'store')}"
    assert in_database(lambda: JournalStorage(JournalFileBackend(str(path))), name) == rows(study)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql+nodriver://me:secret@host/d", "Can't load plugin"),
        ("nobase://me:secret@host/d", "Can't load plugin"),
        ("journal:/dev/null/trials.log", "File exists"),
    ],
)
def test_a_place_that_cannot_be_opened_is_one_sentence_and_stops_nothing(tmp_path, said, address, reason):
    database = TrialDatabase(tmp_path / "store" / "optuna.db", address=address, say=said.append)
    database.show(tiny())
    database.close()
    assert len(said) == 1 and reason in said[0] and "cannot be written" in said[0]
    assert "secret" not in said[0] and "\n" not in said[0]


def test_a_server_that_is_not_there_is_one_sentence_and_stops_nothing(tmp_path, said):
    pytest.importorskip("psycopg")
    address = "postgresql+psycopg://me:secret@127.0.0.1:1/d"
    database = TrialDatabase(tmp_path / "store" / "optuna.db", address=address, say=said.append)
    database.show(tiny())
    database.close()
    assert len(said) == 1 and said[0].startswith("postgresql+psycopg://me:***@127.0.0.1:1/d, Optuna's view of the store, ")
    assert "refused" in said[0] and said[0].endswith("if none ever can, correct ablate.storage.") and "secret" not in said[0]
