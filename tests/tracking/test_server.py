"""Where MLflow's pages are served, and for whom."""

import os
import socket
import sys
from pathlib import Path

import pytest

from l2rw_ray.errors import TrackingError
from l2rw_ray.tracking.server import Listening, serve_ui


@pytest.mark.parametrize(
    ("listening", "site"),
    [
        (Listening(5001), "http://127.0.0.1:5001/"),
        (Listening(5001, prefix="/mlflow"), "http://127.0.0.1:5001/mlflow/"),
        (Listening(5001, "::1"), "http://[::1]:5001/"),
        (Listening(5001, "0.0.0.0"), f"http://{socket.gethostname()}:5001/"),  # not listened on
    ],
)
def test_the_address_is_one_for_a_browser(listening: Listening, site: str) -> None:
    assert listening.site == site


@pytest.mark.parametrize(
    ("listening", "field"),
    [
        (Listening(prefix="mlflow"), "--prefix"),
        (Listening(prefix="/mlflow/"), "--prefix"),
        (Listening(host="no such host"), "--host"),
        (Listening(host="192.0.2.1"), "--port"),
    ],
)
def test_what_cannot_be_listened_on_is_refused(listening: Listening, field: str) -> None:
    with pytest.raises(TrackingError, match=field):
        listening.check()


def test_options_are_mlflows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(os, "execve", lambda _program, command, _environment: given.extend(command))
    serve_ui("sqlite://", tmp_path / "a#b", Listening(5001, "127.0.0.1", "a.org,b.org", "/mlflow"))
    assert given[:5] == [sys.executable, "-P", "-m", "mlflow", "server"]
    options = dict(zip(given[5::2], given[6::2], strict=True))
    assert options["--allowed-hosts"] == "a.org,b.org"
    assert options["--static-prefix"] == "/mlflow"
    assert options["--default-artifact-root"] == (tmp_path / "a#b").as_uri()
