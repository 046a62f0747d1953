import ctypes
import platform
import subprocess
import sys

from l2rw_ray.measurement import allocator


class _Library:
    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.told.append((parameter, value))
        return 1


def test_both_thresholds_are_raised(monkeypatch) -> None:
    library = _Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert allocator.keep_freed_memory() is True
    assert library.told == [(-1, 2**30), (-3, 2**25)], "M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h"


def test_glibc_takes_them_where_it_is_the_library() -> None:
    has_glibc = platform.libc_ver()[0] == "glibc"
    assert allocator.keep_freed_memory() is has_glibc


def test_another_c_library_is_left_alone(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert allocator.keep_freed_memory() is False


def test_freed_memory_is_given_back() -> None:
    """As a worker sees it: what trials have freed in small pieces counts no more."""
    script = """
import psutil
from l2rw_ray.measurement import give_back_freed_memory, keep_freed_memory
keep_freed_memory()
held = [bytearray(50_000) for _ in range(4_000)]
full = psutil.Process().memory_info().rss
del held
kept = psutil.Process().memory_info().rss
give_back_freed_memory()
print(full, kept, psutil.Process().memory_info().rss)
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    full, kept, left = map(int, printed.stdout.split())
    if platform.libc_ver()[0] == "glibc":
        assert kept > full - 2**26, "nothing to give back"
        assert left < full - 150_000_000
