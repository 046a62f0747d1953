"""The configuration of a study: validated, frozen, loaded from YAML, identified by fingerprints."""

from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.grid import GridDesign
from l2rw_ray.config.fingerprint import trial_fingerprint
from l2rw_ray.config.functions.any_trial import AnyTrial
from l2rw_ray.config.functions.metrics import Metric
from l2rw_ray.config.functions.trials import FunctionTrial, ScriptTrial
from l2rw_ray.config.loading import load_study, parse_study
from l2rw_ray.config.planned_trial import PlannedTrial, Stage
from l2rw_ray.config.run_options import Keep, Limits, Resources
from l2rw_ray.config.study import Objective, StudySpec
from l2rw_ray.config.trial import TrialConfig

__all__ = [
    "AblationDesign",
    "AnyTrial",
    "FunctionTrial",
    "GridDesign",
    "Keep",
    "Limits",
    "Metric",
    "Objective",
    "PlannedTrial",
    "Resources",
    "ScriptTrial",
    "Stage",
    "StudySpec",
    "TrialConfig",
    "load_study",
    "parse_study",
    "trial_fingerprint",
]
