"""One trial in pure torch: no Ray, no tracking, no ledger; events are the only way out."""

from l2rw_ray.training.checkpoint import CheckpointStore
from l2rw_ray.training.ranks import Ranks, is_lost_peer
from l2rw_ray.training.saved_model import KeptModel, keep_model, load_model
from l2rw_ray.training.trainer import Keepsakes, train_trial

__all__ = [
    "CheckpointStore",
    "Keepsakes",
    "KeptModel",
    "Ranks",
    "is_lost_peer",
    "keep_model",
    "load_model",
    "train_trial",
]
