"""Count how often claims of a report are false, by outcome model and number of seeds.

Each row is a procedure whose claim is false by construction. `before` is the procedure of version 0.1, which
is kept here only. Rows with a note rest on an assumption that `docs/explanation/statistics.md` names; in all
others the observed rate may be at most 1.5 times the nominal one.

    python benchmarks/statistics_calibration.py [--repeats 2000] [--only divergence]
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from l2rw_ray.report.comparisons.evidence import Evidence
from l2rw_ray.report.comparisons.families import gated
from l2rw_ray.statistics import Difference, Interval, mean_interval, paired_difference
from l2rw_ray.statistics.example_sampling import example_variance
from l2rw_ray.statistics.intervals import is_constant
from l2rw_ray.statistics.minimum_effective import Verdict, effective_level, look_sizes
from l2rw_ray.statistics.partial_pooling import Posterior, partial_pooling
from l2rw_ray.statistics.significance import holm, paired_t_test, signed_rank_test
from l2rw_ray.statistics.variance_sources import Variance, nested_variances

LEVEL = 0.05
CHANCE = 0.1
Draw = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Row:
    """Rate of false claims of one procedure under one model, before and after."""

    procedure: str
    model: str
    seeds: str
    nominal: float
    before: float
    after: float
    note: str = ""


MODELS: Mapping[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0.8, 0.02, n),
    "heavy-tailed": lambda rng, n: 0.8 + 0.01 * rng.standard_t(2.5, n),
    "near a bound": lambda rng, n: rng.beta(30, 0.6, n),
    "partial collapse": lambda rng, n: np.where(rng.random(n) < 0.25, CHANCE, rng.normal(0.8, 0.02, n)),
}
"""Outcome of one seed; both arms draw from the same, so that any difference that is shown is false."""


def shown(repeats: int) -> Iterator[Row]:
    """Two equal arms: a difference is shown."""
    for model, draw in MODELS.items():
        for seeds in (3, 5, 15):
            rng, found = np.random.default_rng(seeds), 0
            for _ in range(repeats):
                p = paired_t_test(draw(rng, seeds) - draw(rng, seeds))
                found += p is not None and p < LEVEL
            yield Row("a difference is shown", model, str(seeds), LEVEL, found / repeats, found / repeats)


def better_despite_divergence(repeats: int) -> Iterator[Row]:
    """A treatment better where it converges, and 12 to 20 points worse on average, is called better."""
    unseen = "claims where no seed diverged: a failure that was not seen is in no interval"
    for rate in (0.2, 0.3):
        for seeds in (5, 10, 15):
            rng = np.random.default_rng(seeds)
            before = after = hidden = 0
            for _ in range(repeats):
                control, diverged = rng.normal(0.8, 0.02, seeds), rng.random(seeds) < rate
                treatment = control + rng.normal(0.02, 0.015, seeds)
                before += _is_better((treatment - control)[~diverged])
                claim = _is_better(np.where(diverged, CHANCE, treatment) - control)
                after += claim and diverged.any()
                hidden += claim and not diverged.any()
            model = f"{100 * rate:.0f} % diverge, accuracy"
            yield Row("called better", model, str(seeds), LEVEL / 2, before / repeats, after / repeats)
            yield Row("called better", f"{model}, none seen", str(seeds), LEVEL / 2, before / repeats,
                      hidden / repeats, unseen)  # fmt: skip


def better_in_error_despite_divergence(repeats: int) -> Iterator[Row]:
    """The same with an error that has no worst value: ranks put a run that diverged last."""
    for seeds in (8, 15):
        rng, before, after = np.random.default_rng(seeds), 0, 0
        for _ in range(repeats):
            control, diverged = rng.normal(1.0, 0.02, seeds), rng.random(seeds) < 0.5
            treatment = control - np.abs(rng.normal(0.02, 0.015, seeds))  # as often better as worst
            before += _is_better((control - treatment)[~diverged])
            gain = np.where(diverged, -np.inf, control - treatment)
            p = signed_rank_test(gain, rng)
            after += p is not None and p < LEVEL and np.median(gain) > 0
        yield Row("called better, by ranks", "50 % diverge, error", str(seeds), LEVEL / 2,
                  before / repeats, after / repeats)  # fmt: skip


def _is_better(gain: np.ndarray) -> bool:
    p = paired_t_test(gain)
    return p is not None and p < LEVEL and float(gain.mean()) > 0


ENOUGH: Mapping[str, tuple[Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]], str]] = {
    "normal": (lambda rng, n: (rng.normal(0.75, 0.03, n), rng.normal(0.8, 0.03, n)), ""),
    "heavy-tailed": (
        lambda rng, n: (0.75 + 0.015 * rng.standard_t(2.5, n), 0.8 + 0.015 * rng.standard_t(2.5, n)),
        "",
    ),
    "half of the seeds at chance": (
        lambda rng, n: (np.full(n, CHANCE), np.where(rng.random(n) < 0.5, CHANCE, rng.normal(0.8, 0.02, n))),
        "",
    ),
    "all but one in six at chance": (
        lambda rng, n: (np.full(n, CHANCE), np.where(rng.random(n) < 0.84, CHANCE, 0.8)),
        "",
    ),
    "a level fails in a quarter": (
        lambda rng, n: (
            np.where(rng.random(n) < 0.25, CHANCE, rng.normal(0.8, 0.01, n)),
            rng.normal(0.8, 0.01, n),
        ),
        "failures that were not seen at the first looks",
    ),
}
"""A level that falls behind its rival by the margin or more, and what the promise rests on."""


def enough(repeats: int) -> Iterator[Row]:
    """A level that is worse by the margin of 0.05 or more is called enough at any look."""
    for model, (draw, note) in ENOUGH.items():
        for first, most in ((2, 9), (4, 15)):
            rng, looks, before, after = np.random.default_rng(first), look_sizes(first, most), 0, 0
            for _ in range(repeats):
                level, rival = draw(rng, most)
                options = {"alpha": LEVEL, "looks": len(looks)}
                before += any(_old_enough(level[:n], rival[:n], len(looks)) for n in looks)
                after += any(
                    effective_level(
                        [dict(enumerate(level[:n])), dict(enumerate(rival[:n]))], 0.05, widest=1.0, **options
                    )
                    .levels[0]
                    .verdict
                    is Verdict.ENOUGH
                    for n in looks
                )
            yield Row("called enough", model, f"{first} to {most}", LEVEL, before / repeats, after / repeats,
                      note)  # fmt: skip


def _old_enough(level: np.ndarray, rival: np.ndarray, looks: int) -> bool:
    confidence = 1 - 2 * LEVEL / (2 * looks)
    found = paired_difference(dict(enumerate(rival)), dict(enumerate(level)), confidence)
    return found.interval is not None and not is_constant(found.values) and found.interval.high <= 0.05


def tuned(repeats: int) -> Iterator[Row]:
    """Two identical arms, tuned: a difference is shown; with one search, and with a search per seed."""
    for seeds in (5, 15):
        rng, before, after = np.random.default_rng(seeds), 0, 0
        for _ in range(repeats):
            one = [_chosen(rng, 1)[0] + rng.normal(0, 0.015, seeds) for _ in range(2)]
            many = [_chosen(rng, seeds) + rng.normal(0, 0.015, seeds) for _ in range(2)]
            before += _is_shown(one[0] - one[1])
            after += _is_shown(many[0] - many[1])
        once, each = "one search per arm", "a search per seed"
        yield Row(f"tuned arms differ, {once}", "normal", str(seeds), LEVEL, before / repeats,
                  before / repeats, "the sentence is about the two configurations, not the arms")  # fmt: skip
        yield Row(f"tuned arms differ, {each}", "normal", str(seeds), LEVEL, before / repeats,
                  after / repeats)  # fmt: skip


def _chosen(rng: np.random.Generator, searches: int) -> np.ndarray:
    """Return the true mean of the configuration that each search of 15 configurations on one seed chose."""
    true = 0.8 - 0.05 * np.abs(rng.normal(0, 1, (searches, 15)))
    seen = true + rng.normal(0, 0.015, true.shape)
    return np.take_along_axis(true, seen.argmax(axis=1)[:, None], axis=1)[:, 0]


def budgets(repeats: int) -> Iterator[Row]:
    """Two arms with equal optima, of which one has more parameters, each searched anew for every seed.

    Before, both have 10 configurations; now 10 for each parameter.
    """
    seeds = 5
    for matter, model in ((1, "four parameters, one matters"), (4, "four parameters, all matter")):
        rng, before, after = np.random.default_rng(matter), 0, 0
        for _ in range(repeats):
            small, equal, larger = (
                _searched_anew(rng, seeds, own, trials)
                for own, trials in ((1, 10), (matter, 10), (matter, 40))
            )
            before += _is_shown(equal - small)
            after += _is_shown(larger - small)
        note = "10 configurations per parameter search a space less closely, the more of them matter"
        yield Row("arms with equal optima differ", f"one parameter against {model}", str(seeds), LEVEL,
                  before / repeats, after / repeats, note if matter > 1 else "")  # fmt: skip


def _searched_anew(rng: np.random.Generator, seeds: int, matter: int, trials: int) -> np.ndarray:
    """Return what the choice of a random search of its own reaches at each seed, 0.8 at the optimum."""
    at = rng.random((seeds, trials, matter))
    true = 0.8 - 0.4 * np.square(at - 0.5).sum(axis=2)
    seen = true + rng.normal(0, 0.01, true.shape)
    chosen = np.take_along_axis(true, seen.argmax(axis=1)[:, None], axis=1)[:, 0]
    return chosen + rng.normal(0, 0.01, seeds)


def _is_shown(difference: np.ndarray) -> bool:
    p = paired_t_test(difference)
    return p is not None and p < LEVEL


def looks(repeats: int) -> Iterator[Row]:
    """Two equal arms, and seeds are added until a difference is shown."""
    spends = "an extension that was not planned: 7.5 % by construction"
    for sizes in ((5, 10), (3, 5, 10, 15)):
        rng, before, unplanned, planned = np.random.default_rng(len(sizes)), 0, 0, 0
        for _ in range(repeats):
            difference = rng.normal(0, 1, sizes[-1])
            p_values = np.array([paired_t_test(difference[:size]) for size in sizes])
            factors = np.array([1.0, *(2.0 ** (number + 1) for number in range(1, len(sizes)))])
            before += (p_values < LEVEL).any()
            unplanned += (factors * p_values < LEVEL).any()
            planned += (len(sizes) * p_values < LEVEL).any()
        seeds = " → ".join(map(str, sizes))
        yield Row("shown at some look", "normal, not planned", seeds, LEVEL, before / repeats,
                  unplanned / repeats, spends)  # fmt: skip
        yield Row("shown at some look", "normal, planned looks", seeds, LEVEL, before / repeats,
                  planned / repeats)  # fmt: skip


def tuned_looks(repeats: int) -> Iterator[Row]:
    """Two identical tuned arms; fresh seeds are added at planned looks until a difference is shown.

    Before, each look is tested at 5 %.
    """
    sizes = (5, 10, 20)
    about_choices = "the sentence is about the two configurations, not the arms"
    for searches, model, note in ((20, "a search per seed", ""), (1, "one search per arm", about_choices)):
        rng, before, after = np.random.default_rng(searches), 0, 0
        for _ in range(repeats):
            one, other = (_chosen(rng, searches) + rng.normal(0, 0.015, sizes[-1]) for _ in range(2))
            p_values = np.array([paired_t_test((one - other)[:size]) for size in sizes])
            before += (p_values < LEVEL).any()
            after += (len(sizes) * p_values < LEVEL).any()
        yield Row("tuned arms differ at some look", model, " → ".join(map(str, sizes)), LEVEL,
                  before / repeats, after / repeats, note)  # fmt: skip


def bold(repeats: int) -> Iterator[Row]:
    """Nothing but chance in a report of two treatments at four settings: anything is bold."""
    for seeds in (3, 5, 15):
        rng, before, after = np.random.default_rng(seeds), 0, 0
        for _ in range(repeats):
            values = rng.normal(0, 1, (2, 4, seeds)) - rng.normal(0, 1, (4, seeds))
            averages = [_compared(number, own.mean(axis=0)) for number, own in enumerate(values)]
            settings = [_compared(number, level) for number, own in enumerate(values) for level in own]
            interactions = [
                _compared(number, level - own[0]) for number, own in enumerate(values) for level in own[1:]
            ]
            families = (averages, settings, interactions)
            before += any(min(holm([each.evidence.p for each in family])) < LEVEL for family in families)
            found = gated(*families, has_primary=True)
            after += any(each.evidence.is_clear for family in found for each in family)
        yield Row("anything is bold", "normal", str(seeds), LEVEL, before / repeats, after / repeats)


def examples(repeats: int) -> Iterator[Row]:
    """Two methods equal on all examples, but not on each: a difference is shown on a test set of 200.

    Before, the test is over seeds, with the test set that all of them share; now over seeds and examples.
    """
    for model, sharpness in (("a method's own hard examples", 1.5), ("the same, less marked", 5.0)):
        for seeds in (3, 5, 15):
            rng, before, after = np.random.default_rng(seeds), 0, 0
            for _ in range(repeats):
                right_2N = rng.beta(0.8 * sharpness, 0.2 * sharpness, (2, 1, 200))
                right_2SN = rng.random((2, seeds, 200)) < right_2N
                difference_SN = right_2SN[0].astype(float) - right_2SN[1]
                values = difference_SN.mean(axis=1)
                p = paired_t_test(values, example_variance(difference_SN - values[:, None]))
                before += _is_shown(values)
                after += p is not None and p < LEVEL
            yield Row("shown on a shared test set of 200", model, str(seeds), LEVEL, before / repeats,
                      after / repeats)  # fmt: skip


def hierarchical(repeats: int) -> Iterator[Row]:
    """Five settings: limits miss the true difference. Before, a t interval of each setting alone.

    Of all settings, of the one that looks best, of the one with the largest errors, of the mean of such
    settings, and of another such setting. Unequal errors are six times as large at the last setting as at the
    first.
    """
    for model, deviation, ratio in (
        ("equal", 0.0, 1.0),
        ("differ", 1.0, 1.0),
        ("differ, unequal errors", 1.0, 6.0),
    ):
        sizes_J = np.geomspace(1, ratio, 5) / np.sqrt(ratio)
        for seeds in (3, 5, 15):
            rng, before, after = np.random.default_rng(seeds), np.zeros(3), np.zeros(5)
            for _ in range(repeats):
                true_J = deviation * rng.normal(size=5)
                errors_JS = 0.5 * rng.normal(size=seeds) + sizes_J[:, None] * rng.normal(size=(5, seeds))
                values_JS = true_J[:, None] + errors_JS
                found, best = partial_pooling(values_JS), int(values_JS.mean(axis=1).argmax())
                assert found is not None
                alone_J = np.array(
                    [_misses(mean_interval(own), true) for own, true in zip(values_JS, true_J, strict=True)]
                )
                drawn_J = np.array(
                    [_misses(own, true) for own, true in zip(found.settings, true_J, strict=True)]
                )
                before += [alone_J.mean(), alone_J[best], alone_J[-1]]
                population = _misses(found.average, 0.0), _misses(found.another, deviation * rng.normal())
                after += [drawn_J.mean(), drawn_J[best], drawn_J[-1], *population]
            claims = (
                "a setting",
                "the setting that looks best",
                "the noisiest setting",
                "the mean of such settings",
                "another setting",
            )
            for claim, old, new in zip(claims, (*before, np.nan, np.nan), after, strict=True):
                yield Row(f"limits of {claim} miss it", f"settings {model}", str(seeds), LEVEL, old / repeats,
                          new / repeats)  # fmt: skip


def nested(repeats: int) -> Iterator[Row]:
    """Limits of the variance that the search makes, from two tests of what each search chose, miss it."""
    for deviation, model in (
        (0.0, "none"),
        (1.0, "as large as that of the seed"),
        (2.0, "four times as large"),
    ):
        for searches in (5, 10, 20):
            rng, missed, named = np.random.default_rng(searches), 0, 0
            for _ in range(repeats):
                values = deviation * rng.normal(size=(searches, 1)) + rng.normal(size=(searches, 2))
                found = nested_variances([(first, again) for first, again in values])
                assert found is not None
                missed += _misses(found.groups, deviation**2)
                named += found.p < LEVEL
            yield Row("limits of the search's variance miss it", model, str(searches), LEVEL, np.nan,
                      missed / repeats)  # fmt: skip
            if deviation == 1.0:
                yield Row("search or seed is named as larger", model, str(searches), LEVEL, np.nan,
                          named / repeats)  # fmt: skip


def _misses(limits: Interval | Posterior | Variance, true: float) -> bool:
    return not limits.low <= true <= limits.high


@dataclass(frozen=True)
class _Compared:
    treatment: str
    difference: Difference
    evidence: Evidence


def _compared(number: int, values: np.ndarray) -> _Compared:
    found, p = tuple(values.tolist()), paired_t_test(values)
    difference = Difference(mean_interval(found), 0, found)
    return _Compared(str(number), difference, Evidence(None, None, p, None, p, 1))


PROCEDURES: Mapping[str, Callable[[int], Iterator[Row]]] = {
    "shown": shown,
    "divergence": better_despite_divergence,
    "ranks": better_in_error_despite_divergence,
    "enough": enough,
    "tuned": tuned,
    "budgets": budgets,
    "looks": looks,
    "tuned-looks": tuned_looks,
    "bold": bold,
    "examples": examples,
    "hierarchical": hierarchical,
    "nested": nested,
}


def _percent(rate: float) -> str:
    return "–" if np.isnan(rate) else f"{100 * rate:.1f} %"


def main() -> None:
    """Print the table as Markdown, and fail where a rate is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--only", choices=tuple(PROCEDURES), nargs="*", default=tuple(PROCEDURES))
    arguments = parser.parse_args()
    print("| claim | outcomes | seeds | nominal | before | after | rests on |\n|---|---|---|---|---|---|---|")
    too_high = []
    for name in arguments.only:
        for row in PROCEDURES[name](arguments.repeats):
            rates = " | ".join(map(_percent, (row.nominal, row.before, row.after)))
            print(f"| {row.procedure} | {row.model} | {row.seeds} | {rates} | {row.note} |", flush=True)
            error = 2 * np.sqrt(row.nominal * (1 - row.nominal) / arguments.repeats)
            if not row.note and row.after > 1.5 * row.nominal + error:
                too_high.append(row)
    if too_high:
        raise SystemExit(f"{len(too_high)} rows above 1.5 times their nominal rate")


if __name__ == "__main__":
    main()
