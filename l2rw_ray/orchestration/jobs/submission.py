"""Prepare a study for a remote cluster: the files that are sent, and the command that runs it."""

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.functions.written_signature import check_written_params
from l2rw_ray.config.loading import dump_study
from l2rw_ray.errors import InputError
from l2rw_ray.masking import masked
from l2rw_ray.orchestration.custom_code import stage_custom_code
from l2rw_ray.planning.plan import representative_trials
from l2rw_ray.results.remote.location import parse_location
from l2rw_ray.tracking.uri import check_known_store

STUDY_FILE = "study.yaml"
RESULTS_VARIABLE = "L2RW_RAY_RESULTS"
"""Environment variable of a cluster: the folder of study folders, on storage that all nodes share."""

_RELATIVE = "relative to a folder that ends with the job"
_MAX_BYTES = 50 * 2**20
_STOP_WAIT_S = 120
"""Time for a job to stop: trials 30 s, worker groups 5 s, Ray's processes 5 s, MLflow's files 20 s, and a
large report a minute."""
_DATA_FIELDS = ("root", "train", "test")
_OWN_VARIABLES = {
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # the run itself sends custom code to its workers
    "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT_S),
}


@dataclass(frozen=True)
class Submission:
    """Options of a study's job.

    Attributes:
        out: Study folder on the cluster; None for a folder in its `L2RW_RAY_RESULTS`, or in `~/results`.
        tracking_uri: MLflow store, as reached from the cluster; None for the one in the study folder.
        variables: Names of environment variables that are passed to the job.
        arguments: More options of `l2rw-ray run`.
    """

    out: str | None = None
    tracking_uri: str | None = None
    variables: Sequence[str] = ()
    arguments: Sequence[str] = ()

    def check_usable(self) -> None:
        """Check the options as far as possible without the cluster.

        Raises:
            InputError: A path is relative, a variable is not set, or a password would be visible to others.
        """
        if self.out is not None and "://" in self.out:
            parse_location(self.out)
        elif self.out is not None and not self.out.startswith(("/", "~/")):
            raise InputError("--out", self.out, _RELATIVE, "give an absolute path that the nodes share")
        for name in self.variables:
            if name not in os.environ:
                raise InputError("--env", name, "not set in this shell", "set it, or omit the option")
        if self.tracking_uri is not None:
            _check_store(self.tracking_uri)

    def entrypoint(self, study: str) -> str:
        """Return the shell command of the job.

        Args:
            study: The study's name.
        """
        command = ["l2rw-ray", "run", STUDY_FILE, "--address", "auto", *self.arguments]
        if self.tracking_uri is not None:
            command += ["--tracking-uri", self.tracking_uri]
        # with `exec`, the signal that stops the job reaches the command, and its exit code is the job's
        return f"{self._warning()}exec {shlex.join(command)} --out {self._out(study)}"

    def _warning(self) -> str:
        """Return a shell command that warns about the default folder; empty if a folder is given."""
        if self.out is not None:
            return ""
        text = f"warning: {RESULTS_VARIABLE} is not set on the cluster; results go to ~/results of one node"
        return f'[ -n "${RESULTS_VARIABLE}" ] || echo {shlex.quote(text)} >&2; '

    def _out(self, study: str) -> str:
        """Return the study folder, quoted except for what the cluster's shell expands."""
        if self.out is None:
            return f'"${{{RESULTS_VARIABLE}:-$HOME/results}}"/{study}'
        in_home = self.out.startswith("~/")
        return f"~/{shlex.quote(self.out[2:])}" if in_home else shlex.quote(self.out)

    def environment(self) -> dict[str, str]:
        """Return the job's environment variables by name."""
        return {name: os.environ[name] for name in self.variables} | _OWN_VARIABLES


@contextmanager
def staged(spec: StudySpec) -> Iterator[Path]:
    """Create a temporary folder with the job's files: the resolved study and the custom packages it names.

    Raises:
        InputError: A package is missing, the packages are too large to send, a path to data is relative, or a
            function has no such parameter.
    """
    trials = representative_trials(spec)
    _check_absolute_paths(trials)
    check_written_params(trials)
    with tempfile.TemporaryDirectory(prefix="l2rw_ray_") as name:
        folder = Path(name) / "job"
        folder.mkdir()
        dump_study(spec, folder / STUDY_FILE)
        stage_custom_code(trials, folder)
        _check_size(folder)
        yield folder


def _check_absolute_paths(trials: Sequence[PlannedTrial]) -> None:
    for trial in trials:
        for field in _DATA_FIELDS:
            path = getattr(getattr(trial.config, "data", None), field, None)
            if isinstance(path, str) and not path.startswith(("/", "~")) and "://" not in path:
                remedy = "give an absolute path that the nodes share, or a URI"
                raise InputError(f"trial.data.{field}", path, _RELATIVE, remedy)


def _check_size(folder: Path) -> None:
    sizes = {file: file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    total = sum(sizes.values())
    if total > _MAX_BYTES:
        largest = max(sizes, key=lambda file: sizes[file]).relative_to(folder)
        problem = f"{total / 2**20:.0f} MiB of custom code, of which {largest} is the largest file"
        remedy = f"keep data out of the packages; at most {_MAX_BYTES // 2**20} MiB are sent"
        raise InputError("study", folder.name, problem, remedy)


def _check_store(uri: str) -> None:
    check_known_store(uri)
    parts, shown = urlsplit(uri), masked(uri)
    if shown != uri:
        problem = "its password or token would be visible on the cluster's dashboard"
        remedy = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, there"
        if not parts.scheme.startswith("http"):
            remedy = "give the http address of an MLflow server that holds the password"
        raise InputError("--tracking-uri", shown, problem, remedy)
    if parts.scheme.startswith("sqlite") and not parts.path.startswith("//"):
        raise InputError("--tracking-uri", uri, _RELATIVE, "give sqlite:////FOLDER/FILE.db, or a server")
