"""Databases that MLflow accesses without a server."""

import sqlalchemy

_CONNECT_S = 5


def check_database_answers(uri: str) -> None:
    """Fail within seconds if a PostgreSQL database is unreachable; MLflow would retry for minutes.

    Args:
        uri: Address of a store; only PostgreSQL is checked.

    Raises:
        SQLAlchemyError: It cannot be reached, or refuses access.
    """
    if not uri.startswith("postgresql"):
        return
    engine = sqlalchemy.create_engine(uri, connect_args={"connect_timeout": _CONNECT_S})
    try:
        engine.connect().close()
    finally:
        engine.dispose()
