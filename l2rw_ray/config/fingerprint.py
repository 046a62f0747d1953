"""The identity of a trial: equal fingerprints mean equal results, up to times."""

import hashlib
import json
from typing import Any

from l2rw_ray.config.code_identity import code_identity
from l2rw_ray.config.functions.any_trial import AnyTrial
from l2rw_ray.config.run_options import Resources

_VERSION = 2
"""Increased when the meaning of a configuration changes, so that old results are not taken for new ones."""


def trial_fingerprint(config: AnyTrial, seed: int, resources: Resources) -> str:
    """Hash what determines a trial's result.

    The study's name, the order of keys, measurements, the folder of a known data set and the share of a GPU
    do not count; workers, threads and the kind of device do, since they change the order of additions. Fields
    at their defaults do not count, so that a new field keeps old results valid. Custom code counts by its
    text, see `code_identity`, and weights, a tokenizer's file or a script by content. Versions of packages do
    not count, not even of this one: where scores are computed by `auto`, which estimator it took is a fact
    of the run, and the ledger has it.

    Args:
        config: The trial, resolved.
        seed: Its seed.
        resources: What it runs on.

    Returns:
        The first 16 hexadecimal digits of the SHA-256 of the canonical JSON.

    Raises:
        InputError: There is no module that an import path of the trial names, or no file that it names.
    """
    identity: dict[str, Any] = {
        "version": _VERSION,
        **config.identity(),
        "seed": seed,
        "workers": resources.workers,
        "threads": resources.cpus_per_worker,
        "gpu": resources.gpus_per_worker > 0,
    }
    if config.import_paths:
        identity["code"] = code_identity(config.import_paths.items())
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
