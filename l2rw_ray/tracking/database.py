"""Databases that MLflow talks to without a server."""

import sqlalchemy

_CONNECT_S = 5


def check_database_answers(uri: str) -> None:
    """Fail within seconds where MLflow would try for minutes to reach a PostgreSQL.

    Args:
        uri: Any store; those of other kinds are passed over.

    Raises:
        SQLAlchemyError: It cannot be reached, or does not let us in.
    """
    if not uri.startswith("postgresql"):
        return
    engine = sqlalchemy.create_engine(uri, connect_args={"connect_timeout": _CONNECT_S})
    try:
        engine.connect().close()
    finally:
        engine.dispose()
