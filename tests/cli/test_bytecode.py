"""Packages without compiled bytecode are told of, with the remedy."""

import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import pytest

from l2rw_ray.cli.bytecode import bytecode_hint


def _compile(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    cached = Path(cache_from_source(spec.origin))
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.touch()


def test_what_is_not_compiled_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    _compile("torch")
    hint = bytecode_hint()
    assert hint is not None
    assert "compileall" in hint
    assert "/ray" in hint
    assert "/torch" not in hint
    for name in ("ray", "mlflow"):
        _compile(name)
    assert bytecode_hint() is None
