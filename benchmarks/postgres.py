"""A PostgreSQL server in a temporary folder, on loopback, for as long as a block lasts."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vicreg.errors import InputError

_OWNER = "postgres"  # the user that Debian's package makes; the server refuses to run as root
_STARTS_IN = 120.0  # seconds, on a machine that does other things


@dataclass(frozen=True, kw_only=True)
class Database:
    """An empty database of a server, with a user who has a password."""

    port: int
    password: str

    def address(self, *, password: bool = True) -> str:
        """Return what `ablate.storage` takes; without the password the driver reads PGPASSWORD or ~/.pgpass."""
        user = f"study:{self.password}" if password else "study"
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/postgres"


@contextmanager
def postgres_server() -> Iterator[Database]:
    """Start a server that only this machine reaches, and stop and delete it in the end.

    Raises:
        InputError: where PostgreSQL is not installed, or does not start.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        password = secrets.token_hex(12)
        (folder / "password").write_text(password, encoding="ascii")
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, _OWNER, _OWNER)
        secret = f"--pwfile={folder}/password"
        _run([programs / "initdb", "--username=study", "--auth=scram-sha-256", secret, folder / "data"])
        port = free_port()
        command = [programs / "postgres", "-D", folder / "data", "-p", port, "-h", "127.0.0.1", "-k", folder]
        with open(folder / "log.txt", "wb") as log:
            server = subprocess.Popen(_as_owner(command), stdout=log, stderr=log, cwd=folder)
        try:
            database = Database(port=port, password=password)
            _wait_for(database, server, folder / "log.txt")
            yield database
        finally:
            server.send_signal(signal.SIGINT)  # ends its sessions and itself
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _programs() -> Path:
    """Return the folder of the newest server's programs, which Debian keeps out of the path."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    if not found:
        raise InputError("PostgreSQL's server must be installed, but initdb is not found; `apt-get install postgresql`.")
    return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdecimal() else 0)


def _as_owner(command: list[object]) -> list[str]:
    """Return a command that, started by root, runs as the user of the package."""
    words = [str(word) for word in command]
    if os.geteuid() != 0:
        return words
    return ["setpriv", f"--reuid={_OWNER}", f"--regid={_OWNER}", "--clear-groups", *words]


def _run(command: list[object]) -> None:
    done = subprocess.run(_as_owner(command), capture_output=True, text=True, cwd="/", check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(f"{command[0]} must make a database, but says: {last}")


def _wait_for(database: Database, server: subprocess.Popen, log: Path) -> None:
    """Wait until the server takes a connection."""
    try:
        import psycopg  # of the extra `postgres`
    except ImportError:
        raise InputError("psycopg must be installed, but is not; `pip install '.[postgres]'`.") from None
    deadline = time.monotonic() + _STARTS_IN
    while True:
        try:
            psycopg.connect(database.address().replace("+psycopg", ""), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise InputError(f"PostgreSQL must answer, but does not: {(said or ['it says nothing'])[-1]}") from None
            time.sleep(0.2)
