"""Commands that plan, run and follow a study."""

import json
from pathlib import Path
from typing import Annotated

import typer

from l2rw_ray.cli.options import (
    TRIALS_PER_WORKER_GROUP,
    Address,
    AllowImport,
    Directory,
    MaxConcurrentTrials,
    NoMlflow,
    OldLanes,
    OldLaneTrials,
    Out,
    Overrides,
    Priority,
    RetryFailed,
    StudyFile,
    TrackingUri,
    TrialsPerWorkerGroup,
    check_tracking,
)
from l2rw_ray.cli.plain_characters import say
from l2rw_ray.errors import InputError
from l2rw_ray.printable import printable


def init(
    file: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="File to write.", show_default=False)],
    on: Annotated[
        str | None,
        typer.Option(
            help="Table (Parquet or CSV), folder of images, or function as module:name.",
            show_default="asked for",
            metavar="WHAT",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="Column of labels or targets of a table.", show_default="asked for", metavar="COLUMN"
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Metric that a function reports; :min after it if less is better.",
            show_default="asked for",
            metavar="NAME",
        ),
    ] = None,
    vary: Annotated[
        str | None,
        typer.Option(
            help="What is compared: a field of the trial or a parameter of a function, and its levels.",
            show_default="asked for",
            metavar="PATH=LEVEL,LEVEL",
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="The question, one sentence.", show_default="made of --vary")
    ] = None,
) -> None:
    """Write a study file: asks what to study, which column or metric counts, and what to compare."""
    from l2rw_ray.cli.init import Wishes, write_study

    def ask(option: str, asked: str, default: str | None) -> str:
        try:
            shown = printable(asked if default is None else f"{asked} [{default}]")
            answer: str = typer.prompt(shown, default=default, show_default=False, err=True)
        except typer.Abort:
            raise InputError(option, None, "not given, and the question has no answer", "give it") from None
        return answer

    write_study(file, Wishes(on, label, metric, vary, question), ask)
    say(f"wrote    {file}\nplan     l2rw-ray plan {file} --probe\nrun      l2rw-ray run {file}")


def plan(
    study: StudyFile,
    overrides: Overrides = None,
    out: Out = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure the time per step for the estimate.")
    ] = False,
    address: Address = None,
    allow_import: AllowImport = None,
) -> None:
    """Show the trials to run, the estimated time, and whether the machine is large enough."""
    from l2rw_ray.config import load_study
    from l2rw_ray.orchestration.cluster.nodes import nodes_of
    from l2rw_ray.planning.plan_summary import summarise_plan
    from l2rw_ray.planning.plan_text import plan_text
    from l2rw_ray.results.opening import read_study_folder

    spec = load_study(study, overrides or [], allow_import=allow_import or ())
    with read_study_folder(out or f"results/{spec.name}") as folder:
        summary = summarise_plan(spec, folder, probe=probe, nodes=nodes_of(address))
    say(json.dumps(summary.as_dict(), indent=2) if as_json else plan_text(summary))


def register(
    study: StudyFile,
    overrides: Overrides = None,
    out: Out = None,
    primary: Annotated[
        str, typer.Option(help="Method, arm or level that is tested first, as the report names it.")
    ] = "",
    margin: Annotated[
        float | None,
        typer.Option(help="Difference that does not matter, as the metric is reported: 0.01 is one point."),
    ] = None,
    allow_import: AllowImport = None,
) -> None:
    """Freeze the plan of a study before there are results; the report prints what deviates from it."""
    from l2rw_ray.cli.register import register_plan
    from l2rw_ray.config import load_study
    from l2rw_ray.results.opening import open_study_folder

    spec = load_study(study, overrides or [], allow_import=allow_import or ())
    with open_study_folder(out or f"results/{spec.name}") as folder:
        say(register_plan(spec, folder, primary, margin))


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
    priority: Priority = 1.0,
    allow_import: AllowImport = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON, and everything else to stderr.")
    ] = False,
    lanes: OldLanes = None,
    lane_trials: OldLaneTrials = None,
) -> None:
    """Run the study's missing trials and write its report."""
    from l2rw_ray.orchestration.interrupts import interrupts_deferred

    with interrupts_deferred():  # an import may lose one
        from l2rw_ray.cli.run import run_session
        from l2rw_ray.config import load_study
        from l2rw_ray.orchestration.run import RunOptions
        from l2rw_ray.results.opening import open_study_folder

    check_tracking(tracking_uri, no_mlflow)
    spec = load_study(study, overrides or [], allow_import=allow_import or ())
    replaced_after = trials_per_worker_group or lane_trials or TRIALS_PER_WORKER_GROUP
    options = RunOptions(address, max_concurrent_trials or lanes, retry_failed, replaced_after, priority)
    with open_study_folder(out or f"results/{spec.name}") as folder:
        code = run_session(spec, folder, options, tracking_uri, mirrors=not no_mlflow, as_json=as_json)
    raise SystemExit(code)


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
    priority: Priority = 1.0,
    allow_import: AllowImport = None,
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

    check_tracking(tracking_uri, no_mlflow)
    spec = load_study(study, overrides or [], allow_import=allow_import or ())
    replaced_after = trials_per_worker_group or lane_trials or TRIALS_PER_WORKER_GROUP
    arguments = [f"--trials-per-worker-group={replaced_after}"]
    limit = max_concurrent_trials or lanes
    arguments += [f"--max-concurrent-trials={limit}"] if limit else []
    arguments += [f"--allow-import={package}" for package in allow_import or ()]
    arguments += ["--retry-failed"] if retry_failed else []
    arguments += [f"--priority={priority:g}"] if priority != 1 else []
    arguments += ["--no-mlflow"] if no_mlflow else []
    submission = Submission(out, tracking_uri, variables or (), arguments)
    raise SystemExit(submit_session(spec, submission, address, wait=wait))


def status(
    directory: Directory,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the run until it ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
) -> None:
    """Show the progress of any study: trials by status, the best one, the last failure."""
    from l2rw_ray.cli.status import print_status, watch_status

    if watch and as_json:
        raise InputError("--watch", True, "given with --json", "leave out one of the two")
    if watch:
        watch_status(directory)
    else:
        print_status(directory, as_json=as_json)
