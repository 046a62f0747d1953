"""Check that the store in a study folder, which may come from anyone, concerns that folder alone.

MLflow sends files to wherever its database says, with the user's token, and its server serves whatever the
database names. A store that says so of other places is set aside: a folder was copied, or made to do harm.
What it mirrors is in the ledger.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from l2rw_ray.errors import TrackingError

_MIRRORED = {
    *("alembic_version", "workspaces", "scheduler_leases", "job_locks"),
    *("experiments", "experiment_tags", "runs", "tags", "params", "metrics", "latest_metrics"),
    *("datasets", "inputs", "input_tags", "sqlite_sequence"),
    *("logged_models", "logged_model_metrics", "logged_model_params", "logged_model_tags"),
    *("registered_models", "registered_model_tags", "registered_model_aliases"),
    *("model_versions", "model_version_tags"),
}
"""Tables that may have rows: not those of servers to call, of secrets and of jobs to run."""
_LOCATIONS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
_TRIGGER = (
    "CREATE TRIGGER prevent_secrets_aad_mutation BEFORE UPDATE ON secrets FOR EACH ROW "
    "WHEN OLD.secret_id != NEW.secret_id OR OLD.secret_name != NEW.secret_name BEGIN "
    "SELECT RAISE(ABORT, 'secret_id and secret_name are immutable (used as AAD in encryption)'); END"
)
"""MLflow's only trigger."""
_WITHIN_THE_STORE = ("models", "runs")
"""Schemes of addresses that name something of the same store."""


def keep_own_store(home: Path) -> None:
    """Set the MLflow database of a folder aside unless all it names lies in the folder's `mlartifacts`.

    Args:
        home: A study folder, or a folder of them.

    Raises:
        TrackingError: A link lies in its place or among its artifacts, or it cannot be set aside.
    """
    database, artifacts = home / "mlflow.db", home / "mlartifacts"
    for place in (database, artifacts, *(home / f"mlflow.db-{end}" for end in ("journal", "wal", "shm"))):
        _refuse_link(place)
    for folder, names, files in os.walk(artifacts):
        for name in (*names, *files):
            _refuse_link(Path(folder) / name)
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database)) as opened:
            _give_up_unused_locations(opened, artifacts)
            foreign = next(_foreign(opened, artifacts), None)
    except sqlite3.Error as error:
        foreign = _damage(database, error)
    if foreign is not None:
        aside = _set_aside(database)
        logging.getLogger(__name__).warning(
            "%s names %s, outside of this folder; it is now %s, and mirrored again from the ledger",
            *(database, foreign, aside.name),
        )


def _damage(database: Path, error: sqlite3.Error) -> str | None:
    """Return what is wrong with a database; None where it is no database at all, which opening it reports.

    Raises:
        TrackingError: It cannot be checked now.
    """
    if "not a database" in str(error):
        return None
    if any(word in str(error) for word in ("locked", "readonly", "disk I/O", "unable to open")):
        remedy = "make it writable, or wait until no other process uses it"
        raise TrackingError("tracking store", database, f"cannot be checked ({error})", remedy) from error
    return f"damaged parts ({error})"


def _refuse_link(place: Path) -> None:
    if place.is_symlink():
        raise TrackingError("tracking store", place, "a link", "remove it: links are not followed")


def _give_up_unused_locations(opened: sqlite3.Connection, artifacts: Path) -> None:
    """Move experiments without runs, such as MLflow's default one, into the folder."""
    place = (artifacts.resolve() / "unused").as_uri()
    unused = "experiment_id not in (select experiment_id from runs where experiment_id is not null)"
    changed = f"update experiments set artifact_location = ? where {unused} and artifact_location != ?"  # noqa: S608
    if not _triggers(opened):
        opened.execute(changed, (place, place))
        opened.commit()


def _triggers(opened: sqlite3.Connection) -> list[str]:
    """Return the statements that make triggers and views, other than MLflow's own."""
    found = opened.execute("select sql from sqlite_master where type in ('trigger', 'view')")
    return [sql for (sql,) in found if " ".join(str(sql).split()) != _TRIGGER]


def _foreign(opened: sqlite3.Connection, artifacts: Path) -> Iterator[str]:
    """Yield what the database names that the mirror of this folder has no use for."""
    yield from ("a trigger or view" for _ in _triggers(opened))
    tables = [name for (name,) in opened.execute("select name from sqlite_master where type = 'table'")]
    for table in tables:
        quoted = '"' + table.replace('"', '""') + '"'
        if table not in _MIRRORED:
            has_rows = f"select 1 from {quoted} limit 1"  # noqa: S608
            yield from (f"rows of {table}" for _ in opened.execute(has_rows))
    inside = Path(os.path.realpath(artifacts))
    for table, columns in _LOCATIONS.items():
        for column in columns if table in tables else ():
            for (value,) in opened.execute(f"select distinct {column} from {table}"):  # noqa: S608
                if value and not _is_inside(str(value), inside):
                    yield str(value)


def _is_inside(location: str, inside: Path) -> bool:
    parts = urlsplit(location)
    if parts.scheme in _WITHIN_THE_STORE:
        return True
    if parts.scheme not in ("", "file") or parts.netloc:
        return False
    path = unquote(parts.path) if parts.scheme else location
    return os.path.isabs(path) and Path(os.path.realpath(path)).is_relative_to(inside)


def _set_aside(database: Path) -> Path:
    taken, number = {path.name for path in database.parent.iterdir()}, 1
    while f"{database.name}.set-aside.{number}" in taken:
        number += 1
    aside = database.with_name(f"{database.name}.set-aside.{number}")
    try:
        database.rename(aside)
        for end in ("journal", "wal", "shm"):
            database.with_name(f"{database.name}-{end}").unlink(missing_ok=True)
    except OSError as error:
        problem = f"of another folder, and cannot be set aside ({os.strerror(error.errno or 0).lower()})"
        raise TrackingError("tracking store", database, problem, "delete it") from error
    return aside
