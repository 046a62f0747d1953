"""What every tool but l2rw_ray leaves to its user: the statistics and the table at the end."""

# part: intervals
import pandas as pd
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

# part: report
BASELINE = "baseline"


def write_report(scores: pd.DataFrame) -> None:
    """Print and save each arm's mean, and its difference to the baseline.

    Args:
        scores: A row per trial with `arm`, `seed` and `test_accuracy`.
    """
    # part: pairing
    by_seed = scores.pivot(index="seed", columns="arm", values="test_accuracy")
    if by_seed.isna().any(axis=None):
        raise ValueError("trials are missing, so that seeds cannot be paired")
    arms = [arm for arm in by_seed if arm != BASELINE]
    # part: intervals
    tests = {arm: ttest_rel(by_seed[arm], by_seed[BASELINE]) for arm in arms}
    intervals = {arm: test.confidence_interval(0.95) for arm, test in tests.items()}
    corrected = multipletests([test.pvalue for test in tests.values()], method="holm")[1]
    # part: report
    table = pd.DataFrame({"mean": by_seed.mean()})
    table["difference"] = table["mean"] - table["mean"][BASELINE]
    table["low"] = pd.Series({arm: interval.low for arm, interval in intervals.items()})
    table["high"] = pd.Series({arm: interval.high for arm, interval in intervals.items()})
    table["p"] = pd.Series(corrected, arms)
    table.to_csv("report.csv")
    by_seed.to_csv("scores.csv")
    print(table.round(4).to_string())
