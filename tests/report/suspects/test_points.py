"""Which design points have evidence, and how one is chosen."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.report.suspects import points
from l2rw_ray.results.folder import StudyFolder


def test_a_method_that_an_arm_sets_is_found_by_its_name(
    with_evidence: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(directory: Path) -> list[dict[str, object]]:
        swapped = {"uniform": "jtt", "l2rw": "l2rw"}
        return [{**row, "method": swapped[row["method"]]} for row in read_rows(directory)]

    read_rows = points.read_rows
    monkeypatch.setattr(points, "read_rows", rows)

    found = points.points_with_evidence(StudyFolder(with_evidence()))

    (chosen,) = points.points_where(found, {"method.name": "jtt"})
    assert chosen.levels["method.name"] == "jtt"
    assert len(points.points_where(found, {"method.name": "l2rw"})) == 1
