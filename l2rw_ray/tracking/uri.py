"""Which tracking stores there can be, told from their address alone."""

from importlib.metadata import entry_points
from urllib.parse import urlparse

from l2rw_ray.errors import TrackingError

_SCHEMES = {"http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks"}


def refuse_unknown_store(uri: str) -> None:
    """Check that MLflow, or a plugin of it, knows stores of this kind.

    Raises:
        TrackingError: It does not.
    """
    scheme = urlparse(uri).scheme.partition("+")[0]
    if scheme in _SCHEMES or uri in _SCHEMES or scheme in entry_points(group="mlflow.tracking_store").names:
        return
    remedy = "use http://HOST:PORT of a server, or sqlite:///FILE.db"
    raise TrackingError("--tracking-uri", uri, "no kind of store that MLflow knows", remedy)
