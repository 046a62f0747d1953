import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch

from l2rw_ray.data.cache import CacheSection, cache_folder, cached

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


def age(entry: Path, days: float) -> None:
    at = time.time() - days * 24 * 3600
    os.utime(entry, (at, at))


def test_a_shelf_keeps_what_was_asked_for_last(cache) -> None:
    decode, roomy = Decode(), CacheSection("sets", max_bytes=10**6)
    for days, identity in ((5, "a"), (4, "b"), (3, "c"), (2, "a")):
        cached(identity, decode, roomy)
        newest = max(entries(cache / "sets"), key=lambda entry: entry.stat().st_mtime)
        age(newest, days)
    assert decode.calls == 3
    size = newest.stat().st_size
    cached("d", decode, CacheSection("sets", max_bytes=2 * size))
    assert len(entries(cache / "sets")) == 3, "d is of the last day, and two others have room"
    for identity in "ac":
        cached(identity, decode, roomy)
    assert decode.calls == 4
    cached("b", decode, roomy)
    assert decode.calls == 5, "it was not asked for for longer than the others"


def test_entries_of_the_last_day_stay(cache) -> None:
    for identity in "ab":
        cached(identity, Decode(), CacheSection("sets", max_bytes=1))
    assert len(entries(cache / "sets")) == 2


def test_what_killed_processes_left_goes_after_a_day(cache) -> None:
    (cache / "sets").mkdir(parents=True)
    old, young = cache / "sets" / "old.tmp", cache / "sets" / "young.tmp"
    for draft, days in ((old, 2), (young, 0.1)):
        draft.touch()
        age(draft, days)
    cached("a", Decode(), CacheSection("sets", max_bytes=10**6))
    assert not old.exists()
    assert young.exists()


def test_a_full_disk_is_tidied_all_the_same(cache, monkeypatch) -> None:
    cached("a", Decode(), CacheSection("sets", max_bytes=1))
    (entry,) = entries(cache / "sets")
    age(entry, 2)

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert torch.equal(cached("b", Decode(), CacheSection("sets", max_bytes=1)), torch.from_numpy(ARRAY))
    assert entries(cache / "sets") == []


def test_the_folder_follows_the_environment(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("L2RW_RAY_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("L2RW_RAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "l2rw_ray"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / ".cache" / "l2rw_ray"
