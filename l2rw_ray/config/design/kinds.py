"""The `design` section: which trials answer the question, one class per kind of design."""

from typing import Annotated

from pydantic import Field

from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.grid import GridDesign
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign

VARIANT = "variant"
"""The factor of an ablation or a tuned comparison; its levels are the names of the variants or arms."""


FixedDesign = GridDesign | AblationDesign
"""Designs whose trials are known before any has run."""
SearchingDesign = SearchDesign | TunedComparisonDesign
"""Designs whose trials Optuna proposes."""
Design = Annotated[FixedDesign | SearchingDesign | MinimumEffectiveDesign, Field(discriminator="kind")]
"""Any kind of design."""
