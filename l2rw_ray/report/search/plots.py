"""Plots of a search: its progress, what its goals trade, and each parameter by itself."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from l2rw_ray.report.design_points.labels import level_text
from l2rw_ray.report.document.canvas import panel
from l2rw_ray.report.document.palette import COLORS, QUIET
from l2rw_ray.report.document.section import Plot
from l2rw_ray.report.search.summary import Configuration, Goal, SearchParameter, SearchSummary

_BEST, _OTHER = COLORS[1], COLORS[0]


def search_plots(summary: SearchSummary) -> tuple[Plot, ...]:
    """Draw the report's plots of a search; none while nothing completed."""
    if not summary.measured:
        return ()
    label, *others = (goal.metric_spec.label for goal in summary.goals)
    return (
        Plot("history", f"{label} in the order of the search", draw_history(summary)),
        *(
            Plot(f"front-{place}", f"{label} against {other}", draw_front(summary, place))
            for place, other in enumerate(others, start=1)
        ),
        *(
            Plot(f"parameter-{number}", f"{label} by {parameter.name}", draw_parameter(summary, parameter))
            for number, parameter in enumerate(summary.parameters, start=1)
        ),
    )


def draw_history(summary: SearchSummary) -> Figure:
    """Draw the first goal of each configuration in the order of proposal, and the best so far."""
    figure, axes = panel()
    goal, tried = summary.goals[0], summary.measured
    numbers = [each.number for each in tried]
    values = [_shown(goal, each.goal_values[0]) for each in tried]
    best = [max(values[: place + 1], key=lambda value: goal.gain(value)) for place in range(len(values))]
    axes.plot(numbers, values, "o", color=_OTHER, markersize=5, label="configuration")
    axes.step(numbers, best, where="post", color=_BEST, linewidth=1.8, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("configuration")
    axes.set_ylabel(goal.metric_spec.heading)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def draw_front(summary: SearchSummary, place: int) -> Figure:
    """Draw the first goal against another one, with the Pareto front."""
    figure, axes = panel()
    first, other = summary.goals[0], summary.goals[place]

    def points(chosen: tuple[Configuration, ...]) -> tuple[list[float], list[float]]:
        ordered = sorted(chosen, key=lambda each: each.goal_values[place])
        across = [_shown(other, each.goal_values[place]) for each in ordered]
        return across, [_shown(first, each.goal_values[0]) for each in ordered]

    axes.plot(*points(summary.measured), "o", color=_OTHER, markersize=5, alpha=0.5, label="configuration")
    line = "o-" if len(summary.goals) == 2 else "o"
    axes.plot(*points(summary.front), line, color=_BEST, markersize=6, linewidth=1.5, label="Pareto front")
    axes.set_xlabel(f"{other.metric_spec.heading}, {'more' if other.mode == 'max' else 'less'} is better")
    axes.set_ylabel(first.metric_spec.heading)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def draw_parameter(summary: SearchSummary, parameter: SearchParameter) -> Figure:
    """Draw the first goal by the values of a parameter, for the configurations that have it."""
    figure, axes = panel()
    goal = summary.goals[0]
    tried = [each for each in summary.measured if parameter.path in each.values]
    values = [each.values[parameter.path] for each in tried]
    if parameter.is_categorical:
        names = sorted({level_text(parameter.path, value) for value in values})
        places = [float(names.index(level_text(parameter.path, value))) for value in values]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
    else:
        places = [float(value) for value in values]
        if parameter.is_log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
    shown = [_shown(goal, each.goal_values[0]) for each in tried]
    axes.plot(places, shown, "o", color=_OTHER, markersize=5)
    _mark_best(axes, summary, tried, places, shown)
    axes.set_xlabel(parameter.name)
    axes.set_ylabel(goal.metric_spec.heading)
    return figure


def _mark_best(
    axes: Axes,
    summary: SearchSummary,
    tried: list[Configuration],
    places: list[float],
    shown: list[float],
) -> None:
    best = summary.front[0]
    if best in tried:
        number = tried.index(best)
        axes.plot(places[number], shown[number], "o", color=_BEST, markersize=8, markeredgecolor=QUIET)


def _shown(goal: Goal, value: float) -> float:
    return value * goal.metric_spec.scale
