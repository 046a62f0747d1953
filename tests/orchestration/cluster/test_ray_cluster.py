"""What a private cluster does to this process."""

import errno
import os
import signal

import pytest

from l2rw_ray.errors import InfrastructureError, InputError
from l2rw_ray.orchestration.cluster.ray_cluster import (
    _environment,
    _signals_ignored,
    _token_required,
    ray_cluster,
)


@pytest.mark.parametrize("address", ["", "nonsense", "localhost", "ray://", "host:name", ":6379"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with (
        pytest.raises(InputError, match="not of the form HOST:PORT; give HOST:PORT of"),
        ray_cluster(address),
    ):
        pass


NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")


@pytest.mark.parametrize("own", [(None, None), ("token", "mine"), ("disabled", None), (None, "mine")])
def test_users_own_token_comes_back(
    monkeypatch: pytest.MonkeyPatch, own: tuple[str | None, str | None]
) -> None:
    for name, value in zip(NAMES, own, strict=True):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with _token_required():
        is_open = own[0] == "disabled"
        assert os.environ["RAY_AUTH_MODE"] == ("disabled" if is_open else "token")
        assert len(os.environ.get("RAY_AUTH_TOKEN", "")) == (0 if is_open else 64)
    assert tuple(map(os.environ.get, NAMES)) == own


def test_a_block_within_another_gives_back_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    with _environment({"OUTER": "inner", "NEW": "inner"}):
        assert (os.environ["OUTER"], os.environ["NEW"]) == ("inner", "inner")
    assert (os.environ["OUTER"], os.environ.get("NEW")) == ("outer", None)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_clean_up_is_not_cut_short_and_work_is(ending: signal.Signals) -> None:
    before = signal.signal(ending, signal.default_int_handler)
    try:
        with _signals_ignored():
            signal.raise_signal(ending)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(ending)
    finally:
        signal.signal(ending, before)


def test_a_machine_that_starts_no_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("subprocess.Popen", refuse)
    with pytest.raises(InfrastructureError, match="cannot start a process"), ray_cluster(None):
        pass
