import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch

from l2rw_ray.data.cache import Shelf, cache_folder, cached

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


class Decode:
    """Counts how often it decodes."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return ARRAY.copy()


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_the_second_call_reads_what_the_first_wrote(cache) -> None:
    decode = Decode()
    first, second = cached("a", decode), cached("a", decode)
    assert decode.calls == 1
    assert torch.equal(first, torch.from_numpy(ARRAY))
    assert torch.equal(second, first)
    assert second.dtype == torch.uint8
    (entry,) = entries(cache)
    assert np.array_equal(np.load(entry), ARRAY)


def test_another_identity_is_another_entry(cache) -> None:
    decode = Decode()
    for identity in ("a", "b", {"files": [["x", 1]]}, {"files": [["x", 2]]}):
        cached(identity, decode)
    assert decode.calls == len(entries(cache)) == 4


def test_writes_stay_with_the_process(cache) -> None:
    cached("a", Decode()).zero_()
    assert torch.equal(cached("a", Decode()), torch.from_numpy(ARRAY))


@pytest.mark.parametrize("place", [0, 9, 30, 128, 140, -5, -1])
def test_a_changed_byte_is_noticed_and_mended(cache, place) -> None:
    decode = Decode()
    cached("a", decode)
    (entry,) = entries(cache)
    content = bytearray(entry.read_bytes())
    content[place] ^= 0xFF
    entry.write_bytes(content)
    assert torch.equal(cached("a", decode), torch.from_numpy(ARRAY))
    assert decode.calls == 2
    cached("a", decode)
    assert decode.calls == 2


@pytest.mark.parametrize("size", [0, 3, 4, 60, 150])
def test_a_truncated_entry_is_mended(cache, size) -> None:
    decode = Decode()
    cached("a", decode)
    (entry,) = entries(cache)
    os.truncate(entry, size)
    assert torch.equal(cached("a", decode), torch.from_numpy(ARRAY))
    assert decode.calls == 2


def test_several_may_write_the_same_entry_at_once(cache) -> None:
    barrier = Barrier(4)

    def decode() -> np.ndarray:
        barrier.wait(timeout=30)
        return ARRAY.copy()

    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: cached("a", decode), range(4)):
            assert torch.equal(result, torch.from_numpy(ARRAY))
    assert len(entries(cache)) == 1


def test_a_cache_that_cannot_be_made_costs_only_time(cache) -> None:
    cache.write_text("a file where the folder should be")
    decode = Decode()
    for calls in (1, 2):
        assert torch.equal(cached("a", decode), torch.from_numpy(ARRAY))
        assert decode.calls == calls


def test_a_full_disk_costs_only_time_and_leaves_nothing(cache, monkeypatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert torch.equal(cached("a", Decode()), torch.from_numpy(ARRAY))
    assert entries(cache) == []


def test_a_shelf_keeps_what_was_read_last(cache) -> None:
    decode, size = Decode(), 0
    for number, identity in enumerate("abca"):
        cached(identity, decode, Shelf("sets", most_bytes=10**6))
        size = max(entry.stat().st_size for entry in entries(cache / "sets"))
        for entry in entries(cache / "sets"):
            if entry.stat().st_mtime > 10:  # the one just read
                os.utime(entry, (number + 1, number + 1))
    assert decode.calls == 3
    cached("d", decode, Shelf("sets", most_bytes=2 * size))
    assert len(entries(cache / "sets")) == 2
    cached("a", decode, Shelf("sets", most_bytes=2 * size))
    assert decode.calls == 4, "b and c were not read for longer than a"


def test_a_shelf_too_small_for_an_entry_holds_that_one(cache) -> None:
    decode, shelf = Decode(), Shelf("sets", most_bytes=1)
    held = cached("a", decode, shelf)
    assert torch.equal(cached("a", decode, shelf), torch.from_numpy(ARRAY))
    assert decode.calls == 1
    cached("b", decode, shelf)
    assert len(entries(cache / "sets")) == 1
    assert torch.equal(held, torch.from_numpy(ARRAY)), "still mapped"


def test_the_folder_follows_the_environment(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("L2RW_RAY_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("L2RW_RAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "l2rw_ray"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / ".cache" / "l2rw_ray"
