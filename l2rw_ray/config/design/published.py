"""Figures that a paper published, which the report sets beside the study's own."""

from pydantic import Field, JsonValue, field_validator

from l2rw_ray.config.section import Section, conflict


class PublishedFigure(Section):
    """One published figure."""

    method: str
    """Method, or arm of a tuned comparison."""
    at: dict[str, JsonValue] = Field(default_factory=dict)
    """Levels of the design's factors that it was measured at, by path relative to `trial`."""
    value: float
    """The figure, in the unit of the report: percent for accuracies."""
    spread: float | None = Field(default=None, ge=0)
    """What the paper gives behind ±; null for nothing."""

    def __hash__(self) -> int:
        """Hash equal figures equally, though levels are a dictionary."""
        return hash((self.method, self.value, *sorted(self.at)))


class PublishedTable(Section):
    """Figures of one paper. They change no result."""

    source: str = Field(min_length=1)
    """Where they are published, such as `Ren et al. 2018, table 1`."""
    metric: str = "test_accuracy"
    """Test metric of this study that they are set beside."""
    conditions: str | None = None
    """What the paper did otherwise, a sentence; null for nothing known."""
    figures: tuple[PublishedFigure, ...] = Field(min_length=1)
    """The figures."""

    @field_validator("metric")
    @classmethod
    def _is_a_test_metric(cls, metric: str) -> str:
        if not metric.startswith("test_"):
            raise conflict("", metric, "papers publish test metrics", "use one, such as test_accuracy")
        return metric
