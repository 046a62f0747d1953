"""Format a metric's value for the terminal."""

_WHOLE_FROM = 1000
"""Values from here on are shown without decimals."""


def metric_text(metric: str, value: float | None) -> str:
    """Return a value of a metric; accuracies in percent, nothing for None."""
    if value is None:
        return ""
    if metric.endswith("accuracy"):
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.4g}"


def metric_title(metric: str) -> str:
    """Return the name of a metric in words."""
    return metric.replace("_", " ")
