"""Provenance: everything a reader needs to assess or repeat the study."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from l2rw_ray.config import ScriptTrial, StudySpec
from l2rw_ray.report.comparisons.contrast import Contrast
from l2rw_ray.report.design_points.design_point import TrialCounts
from l2rw_ray.report.design_points.labels import count, factor_name, level_text
from l2rw_ray.report.design_points.points import METHOD_FACTOR, Outcome, Row
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.provenance.estimators import estimators_of

INTERVALS = (
    "95 % Student t over seeds; differences are paired by seed and, across settings, averaged within "
    "each seed first; p values of the paired t test are corrected in the order finding, averages, settings, "
    "interactions, intervals are not"
)
_MAX_SHOWN = 4
"""Largest number of values of an option of the optimiser that are all shown."""
_WITH_EXAMPLES = "; those of differences include the error of test examples, where all seeds share them"


def provenance_of(
    spec: StudySpec,
    outcomes: Sequence[Outcome],
    counts: TrialCounts,
    contrast: Contrast | None = None,
    tuning: Sequence[Outcome] = (),
) -> tuple[tuple[str, str], ...]:
    """Return the provenance as pairs of a name and a text, in the order shown.

    Args:
        spec: The study.
        outcomes: The trials.
        counts: Number of trials by status.
        contrast: The comparison; None for methods.
        tuning: Trials of the searches that chose configurations.
    """
    rows = _rows(outcomes)
    configs = [json.loads(row["config"]) for row in rows]
    return (
        ("Trials", _trials(counts)),
        ("Seeds", ", ".join(str(seed) for seed in dict.fromkeys(outcome.seed for outcome in outcomes))),
        ("Intervals", INTERVALS + _WITH_EXAMPLES * any(outcome.tested is not None for outcome in outcomes)),
        *(_of_trainer(outcomes, contrast, rows, configs) if spec.is_built_in else _of_function(spec, rows)),
        ("Workers per trial", _distinct(row["workers"] for row in rows)),
        ("Cores per worker", _distinct(row["cpus_per_worker"] for row in rows)),
        ("Hardware", _distinct(row["hardware"] for row in rows)),
        ("Training time", _total_time(rows)),
        ("Cost", _total_cost(rows)),
        *_tuning(_rows(tuning)),
        ("Versions", _versions(rows)),
        ("Commit", _distinct(row["commit"] for row in rows)),
        ("Selection", f"{spec.objective.metric}; test metrics select nothing"),
    )


def _of_trainer(
    outcomes: Sequence[Outcome], contrast: Contrast | None, rows: Sequence[Row], configs: Sequence[Any]
) -> tuple[tuple[str, str], ...]:
    """Return what the built-in trainer trained on what."""
    return (
        ("Data", _distinct(config["data"]["source"] for config in configs)),
        ("Train examples", _distinct(row["train_examples"] for row in rows)),
        *_left_out(rows),
        *_added(configs),
        ("Meta set", _meta_set(configs)),
        ("Validation examples", _validation_set(configs)),
        ("Test examples", _test_size(configs)),
        ("Splits", _pairing(outcomes, contrast)),
        ("Split hashes", "of train, meta, validation and test set of each trial: trials.csv"),
        ("Model", _distinct(config["model"]["name"] for config in configs)),
        ("Optimiser", _optimiser(configs)),
        *estimators_of(rows),
        *_lengths(configs),
        *_precision(configs),
        *_tested_models(rows, configs),
    )


def _of_function(spec: StudySpec, rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Return the function or script that was run, and the parameters that designs start from."""
    trial = spec.trial
    what = ("Script", trial.script) if isinstance(trial, ScriptTrial) else ("Function", _function(trial))
    params = getattr(trial, "params", {})
    named = ", ".join(f"{name} {level_text(name, value)}" for name, value in params.items())
    return (
        what,
        ("Parameters", named or "none"),
        ("Pairing", "trials of equal seed are compared: data and initial weights follow from it"),
        ("Epochs", _distinct(row["epochs"] for row in rows)),
    )


def _function(trial: Any) -> str:
    return str(getattr(trial, "function", trial.title))


def _rows(outcomes: Iterable[Outcome]) -> list[Row]:
    """Return a row for each trial that has ended, once even if it was planned twice."""
    return list({outcome.trial_id: outcome.row for outcome in outcomes if outcome.row is not None}.values())


def _tuning(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Return the cost of tuning; nothing without tuning."""
    if not rows:
        return ()
    return (("Tuning before", f"{count(len(rows), 'trial')}, {_total_time(rows)}, {_total_cost(rows)}"),)


def _trials(counts: TrialCounts) -> str:
    text = f"{counts.completed:,} of {counts.planned:,} completed"
    others = (
        ("diverged", counts.diverged),
        ("failed", counts.failed),
        ("stopped", counts.stopped),
        ("not run yet", counts.missing),
    )
    return ", ".join([text, *(f"{number:,} {name}" for name, number in others if number)])


def _distinct(values: Iterable[Any]) -> str:
    """Return the distinct values in order of appearance, numbers in ascending order."""
    seen = [value for value in dict.fromkeys(values) if value is not None]
    if all(isinstance(value, int | float) for value in seen):
        return ", ".join(f"{value:,}" for value in sorted(seen)) or "not recorded"
    return ", ".join(str(value) for value in seen) or "not recorded"


def _lengths(configs: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Return how long trials train, in epochs or steps, and when they are evaluated if not every epoch."""
    lengths = {unit: [each["optim"].get(unit) for each in configs] for unit in ("epochs", "steps")}
    shown = [(unit.title(), _distinct(given)) for unit, given in lengths.items() if any(given)]
    every = dict.fromkeys(_interval(config.get("evaluate_every") or {"epochs": 1}) for config in configs)
    if list(every) not in ([], ["1 epoch"]):
        shown.append(("Evaluated every", " or ".join(every)))
    return tuple(shown) or (("Epochs", "not recorded"),)


def _interval(every: Mapping[str, Any]) -> str:
    return count(every["steps"], "step") if every.get("steps") else count(every["epochs"], "epoch")


def _precision(configs: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Return how trials computed; nothing where all did in float32 as torch does by default."""
    found = {_precision_of(config): None for config in configs}
    return () if list(found) in ([], ["float32"]) else (("Precision", " or ".join(found)),)


def _precision_of(config: Mapping[str, Any]) -> str:
    precision, tf32 = config.get("precision", "float32"), config.get("tf32")
    parts = [precision if precision == "float32" else f"{precision} by autocast"]
    if tf32 is not None:
        parts.append("with TF32" if tf32 else "without TF32")
    if config.get("compile"):
        parts.append("compiled")
    if config.get("channels_last"):
        parts.append("channels last")
    return ", ".join(parts)


def _tested_models(rows: Sequence[Row], configs: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Return which epoch's model was tested, and early stopping; nothing where all had all epochs."""
    found: dict[str, None] = {}
    for config in configs:
        selection = config.get("selection") or {}
        default = "rmse" if config["data"].get("target") is not None else "balanced_accuracy"
        metric = f"validation_{selection.get('metric') or default}"
        is_best, patience = selection.get("select") == "best", selection.get("patience")
        text = f"of the epoch with the best {metric}" if is_best else "of the last epoch"
        if patience is not None:
            text += f", training ended after {count(patience, 'evaluation')} without a better {metric}"
        found[text] = None
    if list(found) in ([], ["of the last epoch"]):
        return ()
    trained = _distinct(round(row["epochs"], 2) for row in rows if row["epochs"] is not None)
    return (("Tested model", " or ".join(found)), ("Epochs trained", trained))


def _left_out(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Return the number of examples left out because of their targets; nothing if there are none."""
    counts = [int(row["left_out_examples"]) for row in rows if row.get("left_out_examples") is not None]
    return (("Left out", f"{_distinct(counts)} examples, because of their targets"),) if counts else ()


def _added(configs: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Return how the train set was corrupted on purpose; nothing where it was not."""
    found = []
    for field in ("noise", "bias"):
        given = [config["data"].get(field) or {"kind": "none"} for config in configs]
        texts = dict.fromkeys(level_text(f"data.{field}", json.dumps(each)) for each in given)
        if list(texts) not in ([], ["none"]):
            found.append((f"Added {field}", " / ".join(texts)))
    return tuple(found)


def _optimiser(configs: Sequence[Any]) -> str:
    """Return the optimisers and the values of their main options; more than four values as a range."""
    sections = [config["optim"] for config in configs]
    parts = [_distinct(section["name"] for section in sections)]
    for field in ("lr", "momentum", "weight_decay", "batch_size"):
        values = sorted({section[field] for section in sections if section.get(field) is not None})
        if any(values):
            shown = values if len(values) <= _MAX_SHOWN else (values[0], values[-1])
            between = " / " if len(values) <= _MAX_SHOWN else " to "
            name = factor_name(f"optim.{field}")
            parts.append(f"{name} {between.join(level_text(field, value) for value in shown)}")
    schedules = _distinct((section.get("schedule") or {}).get("name", "constant") for section in sections)
    return ", ".join([*parts, *([f"schedule {schedules}"] if schedules != "constant" else [])])


def _meta_set(configs: Sequence[Any]) -> str:
    is_regression = any(config["data"].get("target") is not None for config in configs)
    sizes = dict.fromkeys(config["data"]["meta_per_class"] for config in configs)
    each = f" per {'decile of the target' if is_regression else 'class'}"
    texts = ["all of its file" if size is None else f"{size:,}{each}" for size in sizes]
    size = " or ".join(texts) if None in sizes else _distinct(sizes) + each
    return f"{size}, {_cleanness(configs)}"


def _validation_set(configs: Sequence[Any]) -> str:
    """Return the sizes of the validation set, and whether nobody verified its labels."""
    sizes = [config["data"]["validation_size"] for config in configs]
    text = _distinct("all of its file" if size is None else size for size in sizes)
    noisy = any(config["data"].get("validation_labels") == "given" for config in configs)
    return f"{text}, with labels that nobody verified" if noisy else text


def _cleanness(configs: Sequence[Any]) -> str:
    """Return `clean`, or how the meta set was corrupted on purpose."""
    done: dict[str, None] = {}
    for config in configs:
        changes = {
            what: config["data"].get(field) or {"kind": "none"}
            for field, what in (("meta_noise", "wrong labels"), ("meta_bias", "biased"))
        }
        changed = [
            f"{what} ({level_text('data.noise', json.dumps(change))})"
            for what, change in changes.items()
            if change["kind"] != "none"
        ]
        done[" and ".join(changed) or "clean"] = None
    if len(done) < 2:
        return next(iter(done), "clean")
    first = ["clean"] if "clean" in done else []
    return "in some trials " + ", in others ".join([*first, *(text for text in done if text != "clean")])


def _test_size(configs: Sequence[Any]) -> str:
    sizes = [config["data"]["test_size"] for config in configs]
    if None in sizes:
        return "the source's test set, or a fifth of the source where it has none"
    return _distinct(sizes)


def _pairing(outcomes: Sequence[Outcome], contrast: Contrast | None) -> str:
    """Return whether compared trials used the same rows at equal setting and seed."""
    is_of_methods = contrast is None or contrast.factor.path == METHOD_FACTOR
    seen: dict[tuple[Setting, int], list[tuple[Any, ...]]] = {}
    for outcome in outcomes:
        if outcome.row is not None and outcome.row["split_hash_train"] is not None:
            hashes = tuple(
                outcome.row[f"split_hash_{name}"] for name in ("train", "meta", "validation", "test")
            )
            rest = outcome.setting if contrast is None else contrast.rest_of(outcome.setting)
            seen.setdefault((rest, outcome.seed), []).append(hashes)
    names = "methods" if is_of_methods else "levels"
    compared = [hashes for hashes in seen.values() if len(hashes) > 1]
    differing = sum(len(set(hashes)) > 1 for hashes in compared)
    if not seen:
        return "not recorded"
    if not compared:
        return "not compared: no two trials of equal setting and seed"
    if differing:
        return f"{names} differ in their data at {differing:,} of {len(compared):,} settings and seeds"
    alone = len(seen) - len(compared)
    others = f"; {alone:,} with one trial not compared" if alone else ""
    return f"all {names} saw the same rows at each setting and seed (by hash){others}"


def _total_time(rows: Sequence[Row]) -> str:
    total_s = sum(row["duration_s"] or 0.0 for row in rows)
    if total_s < 120:
        return f"{total_s:.0f} s over all trials"
    return f"{total_s / 60:.0f} min" if total_s < 7200 else f"{total_s / 3600:.1f} h"


def _total_cost(rows: Sequence[Row]) -> str:
    core_hours = sum(row["core_hours"] or 0.0 for row in rows)
    gpu_hours = sum(
        (row["duration_s"] or 0.0) / 3600 * (row["workers"] or 1) * (row["gpus_per_worker"] or 0.0)
        for row in rows
    )
    text = f"{core_hours:.3g} core-hours"
    return f"{text}, {gpu_hours:.3g} GPU-hours" if gpu_hours else text


def _versions(rows: Sequence[Row]) -> str:
    seen: dict[str, dict[str, None]] = {}
    for row in rows:
        for package, version in json.loads(row["versions"] or "{}").items():
            seen.setdefault(package, {})[version] = None
    listed = (f"{package} {' / '.join(found)}" for package, found in sorted(seen.items()))
    return ", ".join(listed) or "not recorded"
