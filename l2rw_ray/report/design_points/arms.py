"""What each compared arm is, in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.changes import single_changes
from l2rw_ray.config.design.factors import varied_fields
from l2rw_ray.config.design.grid import GridDesign
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.config.functions.any_trial import trial_path
from l2rw_ray.config.overrides import Tree, assign, look_up
from l2rw_ray.config.planned_trial import selectors_first
from l2rw_ray.report.comparisons.contrast import Contrast
from l2rw_ray.report.design_points.labels import factor_name, level_text
from l2rw_ray.report.design_points.points import METHOD_FACTOR
from l2rw_ray.report.design_points.setting import Setting

METHODS = {
    "uniform": "plain training, in which every example counts the same",
    "random": "random weights: what reweighting must beat to owe its gain to the weights it chose",
    "l2rw": "learning to reweight: examples whose gradients agree with those of a small clean set get weight",
    "meta_weight_net": "a small network, trained on a clean set, turns an example's loss into its weight",
    "weight_model": "a small network, trained on a clean set, turns features of an example into its weight",
    "heteroscedastic": "a regression that predicts the spread of each target, and counts wide ones less",
    "meta_only": "plain training on the clean set alone",
    "finetune_meta": "plain training, whose last epochs see the clean set alone",
    "jtt": "plain training, then again with the examples that the first model got wrong counted more",
    "mahalanobis_filter": "plain training without the examples far from their class, by learned features",
    "msp_filter": "plain training without the examples that a first model is least sure of",
    "ood_classifier": "each example counts as much as a classifier takes it for one of the clean set",
    "inverse_frequency": "each class counts by one over its number of examples",
    "class_balanced": "each class counts by one over its effective number of examples",
    "resample": "examples are drawn so that all classes are equally frequent",
    "focal": "the focal loss, in which examples that are classified well count less",
    "ldam_drw": "larger margins for rare classes, whose examples count more in the last epochs",
    "logit_adjustment": "a loss that expects of each class what its share of the examples makes likely",
    "label_smoothing": "plain training on labels of which a small part is spread over all classes",
    "generalised_cross_entropy": "a loss that follows labels less the less likely the model finds them",
    "symmetric_cross_entropy": "cross-entropy and a bounded loss, which wrong labels mislead less",
    "co_teaching": "two networks, each trained on the examples that the other finds easiest",
    "elr": "plain training that is held to what the model predicted early",
    "mixup": "plain training on mixtures of two examples, with both labels in proportion",
    "sam": "plain training by the gradient where the loss is highest nearby",
}
"""What a built-in method does, without a capital letter or a full stop."""


def arms_of(spec: StudySpec, contrast: Contrast) -> tuple[tuple[str, str], ...]:
    """Return the compared arms, the control first, with a sentence each; nothing where levels are compared.

    Args:
        spec: The study.
        contrast: What is compared with what.
    """
    if contrast.factor.path not in (METHOD_FACTOR, VARIANT):
        return ()
    sentences: dict[str, str] = {}
    explained: dict[str, tuple[str, dict[str, Any]]] = {}  # the first arm of each method, and its changes
    for level in (contrast.control, *sorted(contrast.treatments, key=contrast.factor.levels.index)):
        method, changes = _method_and_changes(spec, str(level))
        name = contrast.name(level)
        first, known = explained.setdefault(method, (name, changes))
        settings = _settings(spec, str(level), changes, {} if first == name else known)
        is_own = not spec.is_built_in
        if first == name:
            what = f"{spec.trial.title} as it is in the study" if is_own else _explained(method)
            sentences[name] = what + (f"; with {settings}" if settings else "")
        else:
            sentences[name] = f"as “{first}”" + (f", but with {settings}" if settings else "")
    return tuple(sentences.items())


def method_at(spec: StudySpec, method: str, setting: Setting) -> str:
    """Return the method of a design point: what its arm or variant sets, where it is one.

    Args:
        spec: The study.
        method: Method of its trials as the plan has it.
        setting: Its levels.
    """
    level = setting.level(VARIANT)
    return method if level is None else _method_and_changes(spec, str(level))[0]


def _settings(spec: StudySpec, level: str, changes: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return the values of an arm where they differ from those of another arm of its method."""
    differing = {
        path: value for path, value in changes.items() if path not in known or known[path] != value
    } | {path: _value_at(spec, level, path) for path in known if path not in changes}
    return ", ".join(f"{factor_name(path)} {level_text(path, value)}" for path, value in differing.items())


def _value_at(spec: StudySpec, level: str, path: str) -> object:
    """Return what an arm has at a path that it does not change; `default` where it names no value."""
    tree: Tree = spec.trial.model_dump(mode="json")
    changes = _changes(spec).get(level, {})
    for changed in sorted(changes, key=selectors_first):
        if changed.partition(".")[0] != "resources":
            tree = assign(tree, trial_path(spec.trial, changed), changes[changed], type(spec.trial))
    found = look_up(tree, trial_path(spec.trial, path))
    return "default" if found is None else found


def _method_and_changes(spec: StudySpec, level: str) -> tuple[str, dict[str, Any]]:
    """Return the method of an arm, and the other values that its design sets for it, by path."""
    if level not in (named := _changes(spec)):
        return level, {}
    changes = single_changes(named[level])
    return str(changes.pop(METHOD_FACTOR, spec.trial.title)), changes


def _changes(spec: StudySpec) -> Mapping[str, Mapping[str, Any]]:
    """Return the values that each named arm of the design sets, by path."""
    match spec.design:
        case AblationDesign():
            return spec.design.changes()
        case TunedComparisonDesign():
            return {name: arm.set for name, arm in spec.design.arms.items()}
        case GridDesign() if spec.is_built_in:
            sections = spec.design.factors.get("method", [])
            return {section["name"]: _what_is_fixed(section, sections) for section in sections}
    return {}


def _what_is_fixed(section: Mapping[str, Any], sections: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of a method's section, by path, that all sections of this method share."""
    varied = varied_fields(sections, section["name"])
    return single_changes({"method": {name: value for name, value in section.items() if name not in varied}})


def _explained(method: str) -> str:
    return METHODS.get(method, f"custom method {method}")
