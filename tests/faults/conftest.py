"""What tests of faults share: a small study, and its ledger as it is when nothing goes wrong."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config.loading import dump_study, parse_study
from tests.conftest import STUDY
from tests.faults.disturbed import DisturbedStudy
from tests.faults.processes import adopt_orphans

EPOCHS = 240
"""Enough for a trial to be under way, with a checkpoint, when a fault comes."""

Undisturbed = Callable[..., Path]
Disturb = Callable[..., DisturbedStudy]


@pytest.fixture(scope="session")
def orphans() -> None:
    """Nothing; from now on no process of a run gets lost."""
    adopt_orphans()


def small_study(*, metrics: Sequence[str] = (), epochs: int = EPOCHS, **sections: Any) -> dict[str, Any]:
    """Six trials of a few seconds, half of them with weights; with whole sections changed."""
    trial = STUDY["trial"]
    optim = trial["optim"] | {"epochs": epochs, "lr": 0.01}
    design = {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}}
    return (
        STUDY
        | {"trial": trial | {"optim": optim, "metrics": list(metrics)}, "design": design, "seeds": 3}
        | sections
    )


def write_study(path: Path, **sections: Any) -> Path:
    """Write the small study with changes; the file."""
    dump_study(parse_study(small_study(**sections)), path)
    return path


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, orphans: None
) -> Undisturbed:
    """The folder of a study in which nothing went wrong, run once per number of workers."""
    kept: Path | None = pytestconfig.getoption("--undisturbed")
    parent = kept or tmp_path_factory.mktemp("undisturbed")

    def folder(workers: int = 1) -> Path:
        path = parent / f"workers{workers}"
        if not path.exists():
            path.mkdir(parents=True)
            run = DisturbedStudy(
                write_study(path / "study.yaml", resources={"workers": workers}), path / "out"
            )
            run.complete()
            run.must_have_ended()
        return path / "out"

    return folder


@pytest.fixture
def disturb(tmp_path: Path, orphans: None) -> Iterator[Disturb]:
    """Makes the small study, with changes, ready to be run; whatever is left of it ends with the test."""
    made: list[DisturbedStudy] = []

    def make(*arguments: str, environment: dict[str, str] | None = None, **sections: Any) -> DisturbedStudy:
        study = write_study(tmp_path / f"study{len(made)}.yaml", **sections)
        made.append(DisturbedStudy(study, tmp_path / f"out{len(made)}", arguments, environment or {}))
        return made[-1]

    yield make
    for each in made:
        each.abandon()
