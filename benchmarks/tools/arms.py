"""The arms and seeds of the study, for the scripts that take them from Python."""

ARMS = {
    "baseline": {},
    "narrow": {"hidden": 16},
    "weight_decay": {"weight_decay": 0.3},
    "no_momentum": {"momentum": 0.0},
    "large_batches": {"batch_size": 200},
}
SEEDS = list(range(5))
