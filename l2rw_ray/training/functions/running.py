"""Run the training function of a trial: the built-in trainer, or a custom function or script."""

from collections.abc import Callable, Mapping
from typing import Any

from l2rw_ray.config import FunctionTrial, PlannedTrial, ScriptTrial
from l2rw_ray.config.functions.metrics import Metrics
from l2rw_ray.config.functions.signature import signature_of
from l2rw_ray.errors import InputError
from l2rw_ray.events import Emit
from l2rw_ray.import_path import load
from l2rw_ray.training.determinism import reset_process
from l2rw_ray.training.functions.built_in import train_built_in
from l2rw_ray.training.functions.script import run_script
from l2rw_ray.training.functions.session import TrialSession
from l2rw_ray.training.functions.trial import Trial
from l2rw_ray.training.options import TrainingOptions


def run_trial(
    planned: PlannedTrial,
    emit: Emit,
    options: TrainingOptions = TrainingOptions(),  # noqa: B008  # frozen
    metrics: Metrics | None = None,
) -> None:
    """Run one attempt at a trial, whatever trains it. All its ranks call this.

    Args:
        planned: The trial.
        emit: Receives the events, on rank 0 only.
        options: How to run it.
        metrics: What the study declares, to warn where a trial does not report it; None for nothing.

    Raises:
        InputError: The trial's configuration, data or reports cannot be used.
        NonFiniteError: A metric became NaN or infinite.
        Exception: Whatever the user's own function raises.
    """
    session = TrialSession(planned.trial_id, emit, options, planned.config.planned_epochs)
    try:
        match planned.config:
            case FunctionTrial() as called:
                _run_own(planned, session, lambda: _called(called, planned.seed, session), metrics)
            case ScriptTrial() as started:
                _run_own(planned, session, lambda: run_script(started, planned, session), metrics)
            case _:
                train_built_in(planned, session)
    finally:
        session.close()


def _run_own(
    planned: PlannedTrial, session: TrialSession, train: Callable[[], object], metrics: Metrics | None
) -> None:
    """Run what the user wrote between the start and the end of the trial."""
    for field, path in planned.config.import_paths.items():
        load(path, field)  # before anything is seeded: an import may draw random numbers
    reset_process(planned.resources.cpus_per_worker)
    session.start()
    Trial({}, planned.seed, session=session).seed_everything()
    returned = train()
    if isinstance(returned, Mapping):
        session.finish(returned)
    elif returned is not None:
        problem = f"it returned a {type(returned).__name__}"
        raise InputError(
            "trial.function", planned.config.title, problem, "return metrics by name, or nothing"
        )
    session.end(lambda found: _unreported(metrics or {}, found))


def _called(config: FunctionTrial, seed: int, session: TrialSession) -> object:
    """Call the user's function. Returns what it returns: its final metrics, or nothing."""
    return call_with(load(config.function, "trial.function"), config, seed, session)


def call_with(
    function: Callable[..., Any], config: FunctionTrial, seed: int, session: TrialSession
) -> object:
    """Call a function with the trial, the seed and the parameters that its signature names."""
    signature = signature_of(function, config.function, config.params)
    params, arguments = signature.bind(config.params)
    if signature.trial is not None:
        arguments[signature.trial] = Trial(params, seed, session=session)
    if signature.seed:
        arguments["seed"] = seed
    return function(**arguments)


def _unreported(metrics: Metrics, found: Mapping[str, float]) -> tuple[str, ...]:
    missing = [name for name in metrics if name not in found]
    if not missing:
        return ()
    reported = ", ".join(found) or "nothing"
    return (f"it did not report {', '.join(missing)}, only {reported}: report what metrics declares",)
