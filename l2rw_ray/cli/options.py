"""Arguments and options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from l2rw_ray.cli.plain_characters import say
from l2rw_ray.errors import InputError

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Study file.", show_default=False)]
Directory = Annotated[
    str, typer.Argument(metavar="DIR", help="Study folder or its address.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a field of the study; can be repeated."),
]
Address = Annotated[
    str | None, typer.Option(help="Address of a running Ray cluster.", show_default="this machine")
]
Out = Annotated[
    str | None,
    typer.Option(
        help="Study folder or its address: s3://BUCKET/PATH, gs://BUCKET/PATH.",
        show_default="results/<study name>",
        metavar="DIR",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(help="MLflow server or store.", show_default="mlflow.db in the study folder", metavar="URI"),
]
NoMlflow = Annotated[bool, typer.Option("--no-mlflow", help="Leave MLflow alone; `track` fills it in later.")]
MaxConcurrentTrials = Annotated[
    int | None,
    typer.Option(min=1, help="Maximum number of concurrent trials.", show_default="as many as fit"),
]
AllowImport = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-import",
        metavar="PACKAGE",
        help="Let the study call what this installed package has, or run this program; can be repeated.",
    ),
]
Priority = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=100,
        help="Weight against other studies on the cluster: one of 2 gets twice the share of one of 1.",
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")]

TRIALS_PER_WORKER_GROUP = 500
TrialsPerWorkerGroup = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Trials after which a worker group's processes are replaced.",
        show_default=str(TRIALS_PER_WORKER_GROUP),
    ),
]


def _renamed(new: str) -> Callable[[typer.CallbackParam, int | None], int | None]:
    """Return a callback for an option's old name that prints the new one."""

    def warn(param: typer.CallbackParam, value: int | None) -> int | None:
        if value is not None:
            say(f"warning: {param.opts[0]} is now {new}, and will be removed in 0.3", error=True)
        return value

    return warn


OldLanes = Annotated[
    int | None, typer.Option("--lanes", min=1, hidden=True, callback=_renamed("--max-concurrent-trials"))
]
OldLaneTrials = Annotated[
    int | None,
    typer.Option("--lane-trials", min=1, hidden=True, callback=_renamed("--trials-per-worker-group")),
]


def check_tracking(uri: str | None, no_mlflow: bool) -> None:
    """Check that no tracking store is named where there is to be none.

    Raises:
        InputError: Both options are given.
    """
    if no_mlflow and uri is not None:
        raise InputError("--tracking-uri", uri, "given with --no-mlflow", "leave out one of the two")
