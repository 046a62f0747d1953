"""What tests of commands share: a command line in this process, a study file, a folder with a plan."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from l2rw_ray.cli import main
from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.config.loading import dump_study
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results import StudyFolder

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command line in this process; exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["l2rw-ray", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return run


@pytest.fixture
def study(study_tree: dict, tmp_path: Path) -> Path:
    """The file of the small study."""
    path = tmp_path / "study.yaml"
    dump_study(parse_study(study_tree), path)
    return path


def write_plan(folder: StudyFolder, study_tree: dict) -> Sequence[PlannedTrial]:
    """Make a study folder that holds the plan and nothing else; its trials."""
    spec = parse_study(study_tree)
    planned = plan_study(spec)
    folder.create()
    folder.write_plan(spec, planned)
    return planned
