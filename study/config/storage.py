"""Where trials are shown: the forms of `ablate.storage`, and an address without its password."""

import re

from vicreg.errors import InputError

JOURNAL = "journal:"
HIDDEN = "***"
_ADDRESS = re.compile(r"[a-z][a-z0-9]*(\+[a-z0-9]+)?://\S*")
_USER = re.compile(r"(?<=://)([^:@/]*):(.*)(?=@)")  # up to the last @: a password may hold one
_OPTION = re.compile(r"(?i)(?<=[?&])([^=&]*(?:pass|pwd|secret|token)[^=&]*)=[^&]*")


def check_storage(address: str) -> None:
    """Refuse an address of no known form.

    Raises:
        InputError: for such a one.
    """
    path = address.removeprefix(JOURNAL)
    if not path or path.startswith("//") or not (path != address or _ADDRESS.fullmatch(address)):
        forms = "journal:FILE or an address such as postgresql+psycopg://user@host/database"
        raise InputError(f"ablate.storage must be {forms}, but got {without_password(address)!r}; null is the store's own.")


def without_password(address: str) -> str:
    """Return an address with `***` in place of its password, in whichever of the two places drivers read one from."""
    if "://" not in address:  # no address, which a sentence quotes all the same
        return re.sub(":(.*)(?=@)", f":{HIDDEN}", address)
    return _OPTION.sub(rf"\1={HIDDEN}", _USER.sub(rf"\1:{HIDDEN}", address))


def hide_password(text: str, address: str) -> str:
    """Return what a driver said of an address, without the address's password."""
    secrets = [found[2] for found in _USER.finditer(address)]
    secrets += [found[0].partition("=")[2] for found in _OPTION.finditer(address)]
    text = text.replace(address, without_password(address))
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
