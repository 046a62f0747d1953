"""Levels are compared as the study writes them."""

from collections.abc import Callable
from pathlib import Path

from l2rw_ray import StudyResults
from tests.report.conftest import FakeStudy

_PLAIN, _DOUBLED = {"name": "sgd", "lr": 0.1}, {"name": "sgd", "lr": 0.2}


def test_a_level_may_be_a_whole_section(fake_study: Callable[[FakeStudy], Path]) -> None:
    factors = {"optim": (_PLAIN, _DOUBLED)}
    results = StudyResults(fake_study(FakeStudy(factors=factors, missing=(), failing=None)))
    found = results.compare(dict(reversed(_DOUBLED.items())), _PLAIN)
    assert found.n == 3
    assert found.treatment != found.control
