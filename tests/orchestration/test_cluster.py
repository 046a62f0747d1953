"""What a private cluster does to this process."""

import os
import signal

import pytest

from l2rw_ray.errors import InputError
from l2rw_ray.orchestration.cluster import _ctrl_c_ignored, _others_kept_out, ray_cluster


@pytest.mark.parametrize("address", ["", "nonsense", "localhost", "ray://", "host:name", ":6379"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with (
        pytest.raises(InputError, match="no HOST:PORT; give HOST:PORT of"),
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
    with _others_kept_out():
        is_open = own[0] == "disabled"
        assert os.environ["RAY_AUTH_MODE"] == ("disabled" if is_open else "token")
        assert len(os.environ.get("RAY_AUTH_TOKEN", "")) == (0 if is_open else 64)
    assert tuple(map(os.environ.get, NAMES)) == own


def test_clean_up_is_not_cut_short_by_ctrl_c_and_work_is() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have these tests ignore it
    with _ctrl_c_ignored():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
