"""The configuration of a study: validated, frozen, loaded from YAML, identified by fingerprints."""

from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.grid import GridDesign
from l2rw_ray.config.fingerprint import trial_fingerprint
from l2rw_ray.config.loading import load_study, parse_study
from l2rw_ray.config.planned_trial import PlannedTrial, Stage
from l2rw_ray.config.run_options import Keep, Limits, Resources
from l2rw_ray.config.study import Objective, StudySpec
from l2rw_ray.config.trial import TrialConfig

__all__ = [
    "AblationDesign",
    "GridDesign",
    "Keep",
    "Limits",
    "Objective",
    "PlannedTrial",
    "Resources",
    "Stage",
    "StudySpec",
    "TrialConfig",
    "load_study",
    "parse_study",
    "trial_fingerprint",
]
