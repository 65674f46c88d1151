"""Runs reach an address and come back whole, or not at all."""

import hashlib
import json

import pytest

from study import sync
from study.runs.endings import digest_of
from study.transfer.copies import copy_from, copy_to
from study.transfer.remote import Remote, open_remote
from vicreg.errors import InputError
from vicreg.files import to_json

ONE, TWO, BEGUN = "1" * 16, "2" * 16, "3" * 16
MEASURED = "evaluation-0123456789abcdef.json"


def write_run(store, run, *, weights=b"weights " * 50, status="finished"):
    folder = store / "runs" / run
    folder.mkdir(parents=True)
    history = [{"epoch": 1, "total": 0.5, "images_per_second": 9.0}]
    ended = {"status": status, "reason": None, "log": digest_of(history), "weights": hashlib.sha256(weights).hexdigest()}
    contents = {"identity.json": {"data": run}, "provenance.json": {}, "history.json": history, MEASURED: {"test": {}}}
    for name, content in (contents | {"status.json": ended}).items():
        (folder / name).write_bytes(to_json(content))
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "lock").touch()
    return folder


@pytest.fixture
def store(tmp_path):
    """A store with two runs that have ended and one that has not."""
    made = tmp_path / "store"
    write_run(made, ONE)
    write_run(made, TWO, status="diverged")
    write_run(made, BEGUN, status="failed")
    (made / "ledger").mkdir()
    (made / "ledger" / "tiny@digits.json").write_bytes(to_json({"a/0": [ONE], "b/0": [BEGUN]}))
    return made


@pytest.fixture(params=["file", "memory"])
def address(request, tmp_path):
    return f"file://{tmp_path}/there" if request.param == "file" else f"memory://{tmp_path.name}"


@pytest.fixture
def elsewhere(tmp_path):
    return tmp_path / "elsewhere"


def files_of(store):
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def kept(store, *runs):
    """What of runs is copied: all but the lock's file."""
    return {name: content for name, content in files_of(store).items() if name.split("/")[1] in runs and "lock" not in name}


def test_runs_that_have_ended_come_back_with_every_byte_and_others_are_left_out(store, address, elsewhere):
    sent = copy_to(store, open_remote(address))
    assert (sent.copied, sent.unfinished, sent.files) == ([ONE, TWO], [BEGUN], 12)
    got = copy_from(elsewhere, open_remote(address))
    assert (got.copied, got.files, got.size) == ([ONE, TWO], 12, sent.size)
    ledger = {"ledger/tiny@digits.json": (store / "ledger" / "tiny@digits.json").read_bytes()}
    assert files_of(elsewhere) == kept(store, ONE, TWO) | ledger


def test_a_second_call_copies_nothing(store, address, elsewhere):
    for _ in range(2):
        sent, got = copy_to(store, open_remote(address)), copy_from(elsewhere, open_remote(address))
    assert (sent.present, sent.copied, sent.files) == ([ONE, TWO], [], 0)
    assert (got.present, got.copied, got.files) == ([ONE, TWO], [], 0)


def test_of_a_study_its_runs_alone_are_copied(store, address, elsewhere):
    assert copy_to(store, open_remote(address), study="tiny").copied == [ONE]
    copy_to(store, open_remote(address))
    assert copy_from(elsewhere, open_remote(address), study="tiny").copied == [ONE]
    with pytest.raises(InputError, match="must be a study that was run on .*, but got 'small'; known are tiny"):
        copy_to(store, open_remote(address), study="small")


def test_of_a_study_every_run_that_an_arm_has_stood_for_is_copied(store, address, elsewhere, tmp_path):
    """A study that ran on two machines, or before and after a change, has several runs of an arm at a seed."""
    gpu = tmp_path / "gpu"
    write_run(gpu, GPU := "4" * 16)
    (gpu / "ledger").mkdir()
    (gpu / "ledger" / "tiny@digits.json").write_bytes(to_json({"a/0": [GPU], "c/0": [BEGUN]}))
    (store / "ledger" / "tiny@digits.json").write_bytes(to_json({"a/0": [TWO, ONE]}))
    for place in (store, gpu, store):
        copy_to(place, open_remote(address), study="tiny")
    assert copy_from(elsewhere, open_remote(address), study="tiny").copied == [ONE, TWO, GPU]
    assert copy_from(store, open_remote(address), study="tiny").copied == [GPU]
    mine = json.loads((store / "ledger" / "tiny@digits.json").read_bytes())
    assert mine == {"a/0": [GPU, TWO, ONE], "c/0": [BEGUN]}, "the last stays the store's own"


def test_ledgers_of_older_versions_are_read_here_and_there(store, address, elsewhere):
    (store / "ledger" / "tiny@digits.json").write_bytes(to_json({"a/0": ONE, "b/0": 7, "c/0": []}))
    there = open_remote(address)
    assert copy_to(store, there, study="tiny").copied == [ONE]
    there.files.pipe_file(f"{there.root}/ledger/tiny@digits.json", to_json({"a/0": TWO}))
    copy_to(store, there)
    assert copy_from(elsewhere, there, study="tiny").copied == [ONE, TWO]


def test_measurements_that_came_later_follow(store, address, elsewhere):
    copy_to(store, open_remote(address))
    copy_from(elsewhere, open_remote(address))
    later = store / "runs" / ONE / "evaluation-fedcba9876543210.json"
    later.write_bytes(to_json({"test": {"knn_5": 1}}))
    sent, got = copy_to(store, open_remote(address)), copy_from(elsewhere, open_remote(address))
    assert (sent.extended, sent.files, got.extended, got.files) == ([ONE], 1, [ONE], 1)
    assert (elsewhere / "runs" / ONE / later.name).read_bytes() == later.read_bytes()


def test_what_a_store_holds_is_not_replaced(store, address, elsewhere):
    copy_to(store, open_remote(address))
    folder = write_run(elsewhere, ONE)
    (folder / "provenance.json").write_bytes(to_json({"commit": "mine"}))
    before = files_of(elsewhere)
    assert copy_from(elsewhere, open_remote(address), study="tiny").present == [ONE]
    assert before.items() <= files_of(elsewhere).items()


def test_weights_that_were_deleted_come_back_where_they_are_those_of_the_run(store, address, elsewhere):
    copy_to(store, open_remote(address))
    folder = write_run(elsewhere, ONE)
    (folder / "model.safetensors").unlink()
    assert copy_from(elsewhere, open_remote(address)).extended == [ONE]
    assert (folder / "model.safetensors").read_bytes() == b"weights " * 50


class Cut(Exception):
    """The line is cut."""


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_copy_to_an_address_that_is_cut_short_is_no_run_and_goes_on_later(store, address, elsewhere, monkeypatch, after):
    put, sent = Remote.put, []

    def cut(remote, run, name, entry, source):
        if len(sent) == after:
            half = source.with_suffix(".half")
            half.write_bytes(source.read_bytes()[: entry.size // 2])
            remote.files.makedirs(f"{remote.root}/runs/{run}", exist_ok=True)
            remote.files.put_file(str(half), f"{remote.root}/runs/{run}/{entry.sha256[:16]}-{name}")
            half.unlink()
            raise Cut
        sent.append(name)
        put(remote, run, name, entry, source)

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "put", cut)
        with pytest.raises(Cut):
            copy_to(store, open_remote(address))
    got = copy_from(elsewhere, open_remote(address))
    assert got.copied == [] and got.unfinished == [ONE] and not (elsewhere / "runs").exists()
    copy_to(store, open_remote(address))
    assert copy_from(elsewhere, open_remote(address)).copied == [ONE, TWO]
    assert kept(elsewhere, ONE, TWO) == kept(store, ONE, TWO)


def test_a_manifest_that_is_cut_short_is_none(store, address, elsewhere):
    copy_to(store, open_remote(address))
    remote = open_remote(address)
    (manifest,) = [name for name in remote._names(f"{remote.root}/runs/{ONE}") if name.startswith("manifest")]
    path = f"{remote.root}/runs/{ONE}/{manifest}"
    remote.files.pipe_file(path, remote.files.cat_file(path)[:-20])
    assert copy_from(elsewhere, open_remote(address)).unfinished == [ONE]
    assert copy_to(store, open_remote(address)).copied == [ONE]
    assert copy_from(elsewhere, open_remote(address)).copied == [ONE]


@pytest.mark.parametrize("after", [0, 3])
def test_a_copy_from_an_address_that_is_cut_short_is_no_run_and_goes_on_later(store, address, elsewhere, monkeypatch, after):
    copy_to(store, open_remote(address))
    get, arrived = Remote.get, []

    def cut(remote, run, name, entry, target):
        if len(arrived) == after:
            target.write_bytes(b"{")
            raise Cut
        arrived.append(name)
        return get(remote, run, name, entry, target)

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "get", cut)
        with pytest.raises(Cut):
            copy_from(elsewhere, open_remote(address))
    assert not (elsewhere / "runs").exists()
    assert copy_from(elsewhere, open_remote(address)).copied == [ONE, TWO]
    assert kept(elsewhere, ONE, TWO) == kept(store, ONE, TWO)


@pytest.mark.parametrize("name", ["model.safetensors", "history.json", MEASURED])
def test_a_run_that_is_damaged_at_its_source_is_not_sent(store, address, name):
    path = store / "runs" / ONE / name
    path.write_bytes(path.read_bytes()[:-3])
    sent = copy_to(store, open_remote(address))
    assert sent.damaged == [ONE] and sent.copied == [TWO]
    assert open_remote(address).runs() == [TWO]


@pytest.mark.parametrize("name", ["model.safetensors", "history.json", "status.json"])
def test_a_run_that_is_damaged_at_the_address_is_not_taken(store, address, elsewhere, name):
    copy_to(store, open_remote(address))
    remote = open_remote(address)
    (stored,) = [one for one in remote._names(f"{remote.root}/runs/{ONE}") if one.endswith(f"-{name}")]
    path = f"{remote.root}/runs/{ONE}/{stored}"
    remote.files.pipe_file(path, remote.files.cat_file(path).replace(b"e", b"x"))
    got = copy_from(elsewhere, open_remote(address))
    assert got.damaged == [ONE] and got.copied == [TWO] and not (elsewhere / "runs" / ONE).exists()


def test_what_arrives_changed_at_the_address_is_an_error_and_no_run(store, address, monkeypatch):
    remote = open_remote(address)
    put = type(remote.files).put_file

    def put_changed(files, source, target, **named):
        put(files, source, target, **named)
        files.pipe_file(target, b"?" + files.cat_file(target)[1:])

    with monkeypatch.context() as patch:
        patch.setattr(type(remote.files), "put_file", put_changed)
        with pytest.raises(InputError, match="did not arrive as it was sent"):
            copy_to(store, remote)
    assert open_remote(address).manifests(ONE) == []


def test_a_run_that_two_machines_have_computed_arrives_as_one_of_both(store, address, elsewhere, tmp_path):
    other = tmp_path / "other"
    folder = write_run(other, ONE)
    (folder / "history.json").write_bytes(to_json([{"epoch": 1, "total": 0.5, "images_per_second": 1.0}]))
    (folder / "evaluation-aaaa.json").write_bytes(to_json({"test": {}}))
    copy_to(store, open_remote(address))
    copy_to(other, open_remote(address))
    copy_from(elsewhere, open_remote(address))
    assert kept(elsewhere, ONE) == kept(other, ONE)


def test_a_name_that_leads_out_of_the_folder_is_not_taken(store, address, elsewhere):
    content = to_json({"../../stolen.json": {"sha256": "0" * 64, "size": 1}, "status.json": {"sha256": "0" * 64, "size": 1}})
    remote = open_remote(address)
    remote.files.makedirs(f"{remote.root}/runs/{ONE}", exist_ok=True)
    name = f"manifest-{hashlib.sha256(content).hexdigest()[:16]}.json"
    remote.files.pipe_file(f"{remote.root}/runs/{ONE}/{name}", content)
    assert remote.manifests(ONE) == []


# ---- the command


def test_the_command_says_what_it_copied(store, address, elsewhere, capsys):
    assert sync.main(["--to", address, "--store", str(store)]) == 0
    assert sync.main(["--from", address, "--store", str(elsewhere)]) == 0
    to, back = capsys.readouterr().out.splitlines()
    assert to == f"to {address}: 2 runs copied, 0 there already, 1 unfinished and left out; 12 files, 0.0 MB"
    assert back == f"from {address}: 2 runs copied, 0 there already; 12 files, 0.0 MB"


def test_the_command_ends_with_1_and_names_what_is_damaged(store, address, capsys):
    (store / "runs" / ONE / "history.json").write_text("[]")
    assert sync.main(["--to", address, "--store", str(store)]) == 1
    assert f"damaged: run {ONE}; " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "an address must name a folder, .* but is empty"),
        ("nowhere://x", "nowhere://x cannot be opened .*Protocol not known"),
        ("ftp://me:secret@127.0.0.1:1/x", r"ftp://me:\*\*\*@127.0.0.1:1/x cannot be used .*refused"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence_without_its_password(store, address, said):
    with pytest.raises(InputError, match=said) as raised:
        sync.main(["--to", address, "--store", str(store)])
    assert "secret" not in str(raised.value) and "\n" not in str(raised.value)


def test_a_folder_that_may_not_be_written_is_one_sentence(store, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file.* cannot be used"):
        sync.main(["--to", f"{tmp_path}/file", "--store", str(store)])


def test_an_empty_address_and_an_empty_store_hold_no_runs(address, tmp_path, elsewhere):
    assert copy_from(elsewhere, open_remote(address)).sentence() == "0 runs copied, 0 there already; 0 files, 0.0 MB"
    assert copy_to(tmp_path / "none", open_remote(address)).files == 0


def test_the_store_itself_is_no_address(store):
    for way in ("--to", "--from"):
        with pytest.raises(InputError, match=f"{way} must be another place than the store, but both are"):
            sync.main([way, str(store), "--store", str(store)])


def test_a_name_that_is_mistyped_is_refused(store, address, tmp_path):
    with pytest.raises(InputError, match="--store must be a folder of runs, but .*nowhere is none"):
        sync.main(["--to", address, "--store", str(tmp_path / "nowhere")])
    with pytest.raises(InputError, match="--from must be an address with runs, but .*nowhere does not exist"):
        sync.main(["--from", f"{tmp_path}/nowhere", "--store", str(store)])


def test_a_refusal_of_a_file_system_is_not_called_a_place_that_is_not_there(store, address, monkeypatch):
    def refuse(self, *given, **named):
        raise PermissionError("credentials refused")

    monkeypatch.setattr(type(open_remote(address).files), "info", refuse)
    with pytest.raises(InputError, match="cannot be used .credentials refused"):
        sync.main(["--from", address, "--store", str(store)])


class ServerConnectionError(Exception):
    """As aiohttp's of this kind, which is no OSError."""


class Answered(Exception):
    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (ConnectionRefusedError("nobody listens"), "cannot be used .nobody listens"),
        (ServerConnectionError("gone"), "cannot be used .gone"),
        (Answered(403), "cannot be used .status 403"),
        (Answered(404), "does not exist"),
        (FileNotFoundError("no such folder"), "does not exist"),
        (None, "does not exist"),
    ],
)
def test_a_place_that_does_not_answer_is_not_called_one_that_is_not_there(store, address, monkeypatch, cause, said):
    def refuse(self, *given, **named):
        raise FileNotFoundError("x") from cause

    monkeypatch.setattr(type(open_remote(address).files), "info", refuse)
    with pytest.raises(InputError, match=said):
        sync.main(["--from", address, "--store", str(store)])
