"""Commands print on terminals that know ASCII alone."""

import io
import sys

import pytest

from l2rw_ray.cli.plain_characters import tolerate_any_encoding
from tests.cli.conftest import Call


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)


def printed(stream: io.TextIOWrapper) -> str:
    return stream.buffer.getvalue().decode("ascii")


def test_characters_that_an_encoding_lacks_have_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, ascii_stream())
    tolerate_any_encoding()
    print("4 × 2 · a−b … Ü")
    print("1 → 2", file=sys.stderr)
    assert printed(sys.stdout) == "4 x 2 - a-b ... ?\n"
    assert printed(sys.stderr) == "1 -> 2\n"


def test_a_plan_prints_in_ascii(call: Call, study, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ascii_stream()
    monkeypatch.setattr(sys, "stdout", stream)
    assert call("plan", str(study))[0] == 0
    assert "2 design points x 2 seeds = 4 trials" in printed(stream)
