"""One row of a plan: a design point at one seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.functions.any_trial import AnyTrial, as_built_in
from l2rw_ray.config.run_options import Resources
from l2rw_ray.config.training.random_sources import RandomSource, seed_of
from l2rw_ray.config.trial import TrialConfig
from l2rw_ray.import_path import attribute_name

SELECTORS = ("kind", "name", "source")
"""Keys that select the kind of a section, and thereby its other keys."""
_SAYS_NOTHING_ALONE = {"kind", "level", "name", "rate"}


class Stage(StrEnum):
    """What a trial is for."""

    FINAL = "final"
    SEARCH = "search"
    REDRAWN = "redrawn"


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that a study asks for.

    Attributes:
        trial_id: Its fingerprint.
        config: What is trained.
        seed: Seed of split, protocol, initial weights and order; rows of equal seed are paired.
        resources: What it runs on.
        factors: Level of each design factor at this point, by path relative to `trial`.
        stage: Whether its test metrics count, or it was only tried to choose a configuration, or drawn anew
            from one source of randomness.
        search: Key of the search that asked for it; None for a trial of a fixed design.
    """

    trial_id: str
    config: AnyTrial
    seed: int
    resources: Resources
    factors: Mapping[str, Any]
    stage: Stage = Stage.FINAL
    search: str | None = None

    @property
    def built_in(self) -> TrialConfig:
        """What the built-in trainer trains; only for a trial of it."""
        return as_built_in(self.config)

    @property
    def label(self) -> str:
        """Return a readable name, such as `l2rw · bias level 0.9 · seed 3`."""
        redrawn = [f"other {self.redrawn}"] if self.redrawn is not None else []
        return trial_label(self.config.title, self.factors, f"seed {self.seed}", *redrawn)

    @property
    def redrawn(self) -> RandomSource | None:
        """The source of randomness that it draws anew; None for none."""
        return self.config.redraw if isinstance(self.config, TrialConfig) else None

    def seed_of(self, source: RandomSource) -> int:
        """Return the seed of a source's draws: the trial's own, unless it draws that source anew."""
        return seed_of(self.seed, source, self.redrawn)


def trial_label(method: str, factors: Mapping[str, Any], *last: str) -> str:
    """Return a readable name, such as `l2rw · bias 0.9 · seed 3`.

    Args:
        method: Name of the method; of an import path, the part after the colon is shown.
        factors: Levels by path relative to `trial`; the method is not repeated. The name of a variant stands
            in place of the method.
        last: What follows the levels.
    """
    first = level_text(factors[VARIANT]) if VARIANT in factors else attribute_name(method)
    levels = [
        f"{short_name(path)} {level_text(level)}"
        for path, level in factors.items()
        if path not in ("method.name", VARIANT)
    ]
    return " · ".join([first, *levels, *last])


def short_name(path: str) -> str:
    """Return the last meaningful part of a path: `bias` for `data.bias.level`."""
    *parents, last = path.split(".")
    return parents[-1] if parents and last in _SAYS_NOTHING_ALONE else last


def level_text(level: Any) -> str:
    """Return a readable level, such as `0.9`, or `pair (rate 0.4)` of a section."""
    if isinstance(level, Mapping):
        chosen = [str(level[key]) for key in SELECTORS if key in level]
        rest = [f"{key} {level_text(value)}" for key, value in level.items() if key not in SELECTORS]
        inner = ", ".join(rest)
        return " ".join([*chosen, f"({inner})"] if chosen and rest else chosen or [inner])
    if isinstance(level, list | tuple):
        return f"[{', '.join(map(level_text, level))}]"
    return f"{level:g}" if isinstance(level, float) else str(level)


def selectors_first(path: str) -> tuple[int, bool]:
    """Return a sort key of paths to assign: sections before their fields, selectors before other keys."""
    *parents, last = path.split(".")
    return len(parents), last not in SELECTORS
