"""One trial in pure torch, without Ray, tracking or ledger; it reports through events alone."""

from l2rw_ray.training.checkpoint import CheckpointStore
from l2rw_ray.training.examples.trial_examples import KeepExamples, TrialExamples
from l2rw_ray.training.options import TrainingOptions
from l2rw_ray.training.ranks import Ranks, is_lost_peer
from l2rw_ray.training.saved_model import SavedModel, load_model, save_model
from l2rw_ray.training.trainer import train_trial

__all__ = [
    "CheckpointStore",
    "KeepExamples",
    "Ranks",
    "SavedModel",
    "TrainingOptions",
    "TrialExamples",
    "is_lost_peer",
    "load_model",
    "save_model",
    "train_trial",
]
