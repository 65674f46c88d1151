"""Addresses of `ablate.storage`: their forms, and that passwords are hidden."""

import pytest

from study.config.storage import check_storage, hide_password, without_password
from vicreg.errors import InputError


@pytest.mark.parametrize(
    "address",
    [
        "journal:/shared/trials.log",
        "journal:trials.log",
        "sqlite:////tmp/x.db",
        "postgresql+psycopg://u:p@h:5432/d?sslmode=on",
    ],
)
def test_every_form_is_taken(address):
    check_storage(address)


@pytest.mark.parametrize(
    "address", ["", "optuna.db", "journal:", "journal://x", "postgresql:/u:secret@h", "://u:secret@h/d"]
)
def test_another_form_is_one_sentence_that_shows_the_forms_and_no_password(address):
    with pytest.raises(InputError, match="^ablate.storage must be journal:FILE or an address .*, but got ") as raised:
        check_storage(address)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql+psycopg://me:secret@host/d", "postgresql+psycopg://me:***@host/d"),
        ("mysql://me:se@cr:et@host:3306/d", "mysql://me:***@host:3306/d"),
        ("postgresql://host/d?user=me&password=secret&sslmode=require", "postgresql://host/d?user=me&password=***&sslmode=require"),
        ("postgresql://me@host/d", "postgresql://me@host/d"),
        ("journal:/a/b", "journal:/a/b"),
    ],
)  # fmt: skip
def test_a_password_is_hidden_and_nothing_else(address, shown):
    assert without_password(address) == shown == without_password(shown)


def test_a_password_is_hidden_in_what_a_driver_says():
    address = "postgresql://me:secret@host/d?sslpassword=hush"
    said = hide_password(f"could not connect to {address}: secret or hush is wrong", address)
    assert said == "could not connect to postgresql://me:***@host/d?sslpassword=***: *** or *** is wrong"
