import sys
from contextlib import closing

import pytest
import sqlalchemy

from l2rw_ray.errors import TrackingError
from l2rw_ray.masking import masked, masked_of
from l2rw_ray.tracking.uri import (
    check_known_store,
    check_store,
    check_writable_folder,
    local_store,
)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://ann:s3cret@host:5000/path", "http://***@host:5000/path"),
        ("https://ann@host", "https://***@host"),
        ("http://ann:p@ss@host", "http://***@host"),
        ("http://ann:p/ss@host", "http://***@host"),
        (
            "postgresql://ann:s3cret@host/db?sslpassword=x1&sslmode=require",
            "postgresql://***@host/db?sslpassword=***&sslmode=require",
        ),
        ("http://host/?token=abc", "http://host/?token=***"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////home/ann/mlflow.db", "sqlite:////home/ann/mlflow.db"),
    ],
)
def test_addresses_are_shown_without_secrets(uri, shown):
    assert masked(uri) == shown
    assert masked(f"cannot reach {uri} at all") == f"cannot reach {shown} at all"


def test_secrets_are_masked_in_whatever_words_a_library_finds():
    uri = "http://ann:p%40ss@host"
    assert masked_of("denied to 'p@ss' and p%40ss of ann:p@ss", uri) == "denied to '***' and *** of ***"


def test_an_unknown_store_is_refused_without_its_password():
    with pytest.raises(TrackingError) as raised:
        check_known_store("bogus://ann:s3cret@host")
    assert "s3cret" not in str(raised.value)
    assert "bogus://***@host" in str(raised.value)


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "postgresql://ann:s3cret@host/db", "http://host"])
def test_stores_with_a_driver_are_taken(uri):
    check_store(uri)


def test_a_database_without_its_driver_is_refused_without_its_password(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(TrackingError) as raised:
        check_store("postgresql://ann:s3cret@host/db")
    message = str(raised.value)
    assert "--tracking-uri = 'postgresql://***@host/db': the database driver is missing" in message
    assert "pip install 'l2rw-ray[postgres]', or give http://HOST:PORT of an MLflow server" in message
    assert "s3cret" not in message
    with pytest.raises(TrackingError, match="the database driver is missing"):
        check_store("postgresql+none://host/db")


@pytest.mark.parametrize("name", ["a b", "a%20b", "q?1", "h#1", "{x}", "ü@host"])
def test_a_local_store_lies_in_its_folder_whatever_the_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    uri = local_store(folder)
    check_store(uri)
    check_writable_folder(uri)
    with closing(sqlalchemy.create_engine(uri).raw_connection()) as connection:
        connection.cursor().execute("create table t (x)")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in folder.iterdir()] == ["mlflow.db"]


def test_a_store_in_a_folder_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(PermissionError, match="not a writable folder"):
        check_writable_folder(local_store(tmp_path / "a?b"))
