"""Format a metric's value for the terminal."""

_WHOLE_FROM = 1000
"""Values from here on are shown without decimals."""


def metric_text(metric: str, value: float | None, *, is_percent: bool | None = None) -> str:
    """Return a value of a metric for the terminal, nothing for None.

    Args:
        metric: Its name.
        value: Its value.
        is_percent: Whether the study declares it as a percentage; None for accuracies alone.
    """
    if value is None:
        return ""
    if metric.endswith("accuracy") if is_percent is None else is_percent:
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.4g}"


def epochs_text(epochs: float) -> str:
    """Return a number of epochs, with two decimals where it is not whole."""
    return f"{epochs:.0f}" if float(epochs).is_integer() else f"{epochs:.2f}"


def metric_title(metric: str) -> str:
    """Return the name of a metric in words."""
    return metric.replace("_", " ")
