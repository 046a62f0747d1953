"""The commands. Each imports what it needs when it runs, so that help and plans are quick."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from l2rw_ray.cli.plain_characters import tolerate_any_encoding
from l2rw_ray.errors import InputError, L2RWError

app = typer.Typer(
    help="Studies of learned example reweighting: plan, run, compare, report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

data = typer.Typer(help="List data sources; check a study's data.", no_args_is_help=True)
app.add_typer(data, name="data")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

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
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")]

_TRIALS_PER_WORKER_GROUP = 500
TrialsPerWorkerGroup = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Trials after which a worker group's processes are replaced.",
        show_default=str(_TRIALS_PER_WORKER_GROUP),
    ),
]


def _renamed(new: str) -> Callable[[typer.CallbackParam, int | None], int | None]:
    """Return a callback for an option's old name that prints the new one."""

    def warn(param: typer.CallbackParam, value: int | None) -> int | None:
        if value is not None:
            print(f"warning: {param.opts[0]} is now {new}, and will be removed in 0.3", file=sys.stderr)
        return value

    return warn


OldLanes = Annotated[
    int | None, typer.Option("--lanes", min=1, hidden=True, callback=_renamed("--max-concurrent-trials"))
]
OldLaneTrials = Annotated[
    int | None,
    typer.Option("--lane-trials", min=1, hidden=True, callback=_renamed("--trials-per-worker-group")),
]


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        import l2rw_ray

        print(l2rw_ray.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Accept the options that come before a command."""


def main() -> None:
    """Run the command line; bad input prints one line and exits with 2, without a traceback."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read once, when torch is imported
    tolerate_any_encoding()
    try:
        app()
    except InputError as error:
        _fail(f"error: {error}", 2)
    except L2RWError as error:
        _fail(f"error: {error}", 1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _fail(
            f"error: {place}{os.strerror(error.errno).lower()}; free disk space, then run the command again",
            1,
        )


def _fail(line: str, code: int) -> None:
    print(line, file=sys.stderr)
    raise SystemExit(code)


@app.command()
def plan(
    study: StudyFile,
    overrides: Overrides = None,
    out: Out = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure the time per step for the estimate.")
    ] = False,
    address: Address = None,
) -> None:
    """Show the trials to run, the estimated time, and whether the machine is large enough."""
    from l2rw_ray.config import load_study
    from l2rw_ray.orchestration.cluster.nodes import nodes_of
    from l2rw_ray.planning.plan_summary import summarise_plan
    from l2rw_ray.planning.plan_text import plan_text
    from l2rw_ray.results.opening import read_study_folder

    spec = load_study(study, overrides or [])
    with read_study_folder(out or f"results/{spec.name}") as folder:
        summary = summarise_plan(spec, folder, probe=probe, nodes=nodes_of(address))
    print(json.dumps(summary.as_dict(), indent=2) if as_json else plan_text(summary))


def _check_tracking(uri: str | None, no_mlflow: bool) -> None:
    if no_mlflow and uri is not None:
        raise InputError("--tracking-uri", uri, "given with --no-mlflow", "leave out one of the two")


@app.command()
def run(
    study: StudyFile,
    overrides: Overrides = None,
    out: Out = None,
    address: Address = None,
    tracking_uri: TrackingUri = None,
    no_mlflow: NoMlflow = False,
    max_concurrent_trials: MaxConcurrentTrials = None,
    retry_failed: RetryFailed = False,
    trials_per_worker_group: TrialsPerWorkerGroup = None,
    lanes: OldLanes = None,
    lane_trials: OldLaneTrials = None,
) -> None:
    """Run the study's missing trials and write its report."""
    from l2rw_ray.cli.run import run_session
    from l2rw_ray.config import load_study
    from l2rw_ray.orchestration.run import RunOptions
    from l2rw_ray.results.opening import open_study_folder

    _check_tracking(tracking_uri, no_mlflow)
    spec = load_study(study, overrides or [])
    replaced_after = trials_per_worker_group or lane_trials or _TRIALS_PER_WORKER_GROUP
    options = RunOptions(address, max_concurrent_trials or lanes, retry_failed, replaced_after)
    with open_study_folder(out or f"results/{spec.name}") as folder:
        code = run_session(spec, folder, options, tracking_uri, mirrors=not no_mlflow)
    raise SystemExit(code)


@app.command()
def submit(
    study: StudyFile,
    address: Annotated[
        str,
        typer.Option(help="Dashboard of the cluster, http://HOST:8265.", metavar="URL", show_default=False),
    ],
    overrides: Overrides = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Study folder on the cluster or its address.",
            show_default="<study name> in the cluster's $L2RW_RAY_RESULTS, else in ~/results",
            metavar="DIR",
        ),
    ] = None,
    tracking_uri: TrackingUri = None,
    no_mlflow: NoMlflow = False,
    max_concurrent_trials: MaxConcurrentTrials = None,
    retry_failed: RetryFailed = False,
    trials_per_worker_group: TrialsPerWorkerGroup = None,
    lanes: OldLanes = None,
    lane_trials: OldLaneTrials = None,
    variables: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME",
            help="Pass an environment variable, visible on the dashboard, to the job; can be repeated.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the log until the job ends.")] = True,
) -> None:
    """Run the study's missing trials as a Ray job; Ctrl-C stops following it, not the job."""
    from l2rw_ray.cli.submit import submit_session
    from l2rw_ray.config import load_study
    from l2rw_ray.orchestration.jobs.submission import Submission

    _check_tracking(tracking_uri, no_mlflow)
    spec = load_study(study, overrides or [])
    replaced_after = trials_per_worker_group or lane_trials or _TRIALS_PER_WORKER_GROUP
    arguments = [f"--trials-per-worker-group={replaced_after}"]
    limit = max_concurrent_trials or lanes
    arguments += [f"--max-concurrent-trials={limit}"] if limit else []
    arguments += ["--retry-failed"] if retry_failed else []
    arguments += ["--no-mlflow"] if no_mlflow else []
    submission = Submission(out, tracking_uri, variables or (), arguments)
    raise SystemExit(submit_session(spec, submission, address, wait=wait))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def bench(context: typer.Context) -> None:
    """Measure the cost of a reweighted step relative to a plain one on this machine, by estimator."""
    from l2rw_ray.bench.command import run_command

    def draw(rows: list[dict[str, Any]], path: Path) -> None:
        from l2rw_ray.report.step_costs import draw_step_costs

        draw_step_costs(rows, path)

    run_command("l2rw-ray bench", context.args, draw)


@data.command("list")
def list_sources() -> None:
    """List the data sources: what they hold, how to get them, and their options."""
    from l2rw_ray.cli.data import print_sources

    print_sources()


@data.command("check")
def check_data(
    study: StudyFile,
    overrides: Overrides = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder for sample images.", show_default="results/<study name>/data-check", metavar="DIR"
        ),
    ] = None,
) -> None:
    """Load a study's data, count the examples of each set by class, and draw a few images per class."""
    from l2rw_ray.cli.data import check_study_data
    from l2rw_ray.cli.report import on_this_machine
    from l2rw_ray.config import load_study

    spec = load_study(study, overrides or [])
    check_study_data(spec, on_this_machine(out or f"results/{spec.name}/data-check"))


@app.command()
def report(
    directories: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR...",
            help="Study folder or its address; several for one combined report.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the report.",
            show_default="DIR/report; results/joined-report for several",
            metavar="DIR",
        ),
    ] = None,
) -> None:
    """Write the report of a study from its ledger, or one combined report of several studies."""
    from l2rw_ray.cli.report import report_on

    print(report_on(directories, out))


@app.command()
def suspects(
    directory: Directory,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=LEVEL",
            help="Level of a factor that the trials must have, as method.name=l2rw; can be repeated.",
            show_default="the design point that is best on the validation set",
        ),
    ] = None,
    by: Annotated[
        str, typer.Option(help="Evidence to rank by: combined, prediction, loss, weight or score.")
    ] = "combined",
    top: Annotated[
        int, typer.Option(min=1, help="Number of labels to list, and to correct with --fix.")
    ] = 20,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder for suspects.csv and suspects.parquet; required to save a list by --where or --by.",
            show_default="DIR/report",
            metavar="DIR",
        ),
    ] = None,
    fix: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a copy of the train table, .csv or .parquet, with the labels that models prefer.",
        ),
    ] = None,
) -> None:
    """List the train labels that are probably wrong, if the study kept examples."""
    from l2rw_ray.cli.suspects import SuspectsOptions, show_suspects

    show_suspects(directory, SuspectsOptions(where or [], by, top, out, fix))


@app.command()
def publish(
    directory: Directory,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the published study.", show_default="reports/<study name>", metavar="DIR"
        ),
    ] = None,
) -> None:
    """Copy a study for readers to a folder: study file, ledger as one file, notes and report page."""
    from l2rw_ray.cli.report import publish_study

    print(publish_study(directory, out))


@app.command()
def status(
    directory: Directory,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the run until it ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
) -> None:
    """Show how far a study is: trials by status, the best one, the last failure, whoever runs it."""
    from l2rw_ray.cli.status import print_status, watch_status

    if watch and as_json:
        raise InputError("--watch", True, "given with --json", "leave out one of the two")
    if watch:
        watch_status(directory)
    else:
        print_status(directory, as_json=as_json)


@app.command()
def track(directory: Directory, tracking_uri: TrackingUri = None) -> None:
    """Update the MLflow mirror of a study."""
    from l2rw_ray.results.opening import read_study_folder
    from l2rw_ray.tracking.mirror import mirror_folder
    from l2rw_ray.tracking.uri import masked

    with read_study_folder(directory) as folder:
        count = mirror_folder(folder, tracking_uri).trials
    print(f"{count} trials mirrored to {masked(tracking_uri) if tracking_uri else folder.tracking_database}")


@app.command()
def ui(
    directory: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Study folder or its address, or a folder of them.", show_default=False
        ),
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; whoever reaches it can read and change every run.")
    ] = "127.0.0.1",
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            help="Names by which browsers may address the server, separated by commas.",
            show_default="this machine and private networks",
            metavar="NAMES",
        ),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            help="Path under which a reverse proxy serves it, such as /mlflow.",
            show_default="none",
            metavar="PATH",
        ),
    ] = "",
) -> None:
    """Serve the MLflow UI of a study, or of all studies in a folder, until Ctrl-C."""
    from l2rw_ray.cli.ui import open_ui
    from l2rw_ray.results.opening import read_study_folder
    from l2rw_ray.tracking.server import Listening

    with read_study_folder(directory) as folder:
        open_ui(folder.path, Listening(port, host, allowed_hosts, prefix))
