"""Remove one remedy at a time and see that a test fails without it: `python -m tests.attacks.mutations`.

Each mutation replaces a function in a process of its own, where pytest loads this module as a plugin. A
remedy that no test misses needs a test. Takes some minutes; `-k WORD` selects kinds. The private folder of
Ray is not among them: its test starts a process that loads no plugin.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_CHOSEN = "L2RW_RAY_MUTATION"


def nothing(*_: Any, **__: Any) -> None:
    """Check nothing."""


def unchanged(value: Any, *_: Any, **__: Any) -> Any:
    """Return what is given."""
    return value


def always(answer: object) -> Callable[..., Any]:
    """Return a function that gives one answer."""
    return lambda *_, **__: answer


class Everything(frozenset[str]):
    """A set that holds everything."""

    def __contains__(self, _: object) -> bool:
        return True


def any_file(place: Path) -> Any:
    """Yield all files, also those that links stand for."""
    yield from [place] if place.is_file() else filter(Path.is_file, place.rglob("*"))


def pickling_sampler(**options: Any) -> Any:
    """Return the sampler of Optuna that keeps its state as a pickle."""
    from optuna.samplers import CmaEsSampler

    return CmaEsSampler(**options)


@dataclass(frozen=True)
class Mutation:
    """A remedy that is removed.

    Attributes:
        kind: Kind of attack.
        remedy: What is replaced, `module:attribute`, below `l2rw_ray`.
        stand_in: What replaces it.
        tests: File and expression that select the tests which have to notice.
    """

    kind: str
    remedy: str
    stand_in: object
    tests: tuple[str, str]


CODE, SAVED, LINKS, STORES = "test_code.py", "test_saved_code.py", "test_links.py", "test_tracking_stores.py"
TEXTS, BOMBS, ADDRESSES = "test_texts.py", "test_bombs.py", "test_addresses.py"
MUTATIONS = (
    Mutation("imports", "import_path:_is_allowed", always(True), (CODE, "study_file_alone")),
    Mutation("imports", "import_path:_installed", always(None), (CODE, "name_of_an_installed")),
    Mutation("imports", "api.by_value:_check_own", nothing, (CODE, "of_others")),
    Mutation("scripts", "config.functions.files:_check_program", nothing, (CODE, "script")),
    Mutation("scripts", "config.functions.files:_refuse_link", nothing, (CODE, "script")),
    Mutation("pictures", "data.images.decoding:_FORMATS", None, (CODE, "picture")),
    Mutation("weights", "models.pretrained.hugging_face:_refuse_adapter", nothing, (CODE, "adapter")),
    Mutation("saved models", "training.saved_model:is_import_path", always(False), (SAVED, "calls_nothing")),
    Mutation("saved models", "training.saved_model:_check_not_larger", nothing, (SAVED, "no_more_memory")),
    Mutation("saved models", "training.saved_model:_checked_sizes", unchanged, (SAVED, "integers")),
    Mutation(
        "optuna.db",
        "planning.strategies.replayed_cmaes:ReplayedCmaEs",
        pickling_sampler,
        (SAVED, "unpickles or pickles"),
    ),
    Mutation("links", "results.plain_files:check_plain", unchanged, (LINKS, "run_follows or evidence")),
    Mutation("links", "config.code_identity:own_files", any_file, (LINKS, "package_with_links")),
    Mutation("links", "results.plans.plan_rows:is_trial_id", always(True), (LINKS, "fingerprint")),
    Mutation("links", "results.folder:_TOP", ("study.yaml",), (LINKS, "run_follows and optuna")),
    Mutation("MLflow stores", "tracking.own_store:_is_inside", always(True), (STORES, "another_place")),
    Mutation("MLflow stores", "tracking.own_store:_triggers", always([]), (STORES, "more_than_mirror")),
    Mutation("MLflow stores", "tracking.own_store:_MIRRORED", Everything(), (STORES, "more_than_mirror")),
    Mutation("MLflow stores", "tracking.own_store:_refuse_link", nothing, (STORES, "links_in_a_store")),
    Mutation("addresses", "masking:_masked_address", unchanged, (ADDRESSES, "without_secrets")),
    Mutation("addresses", "masking:_HARMLESS", Everything(), (ADDRESSES, "without_secrets")),
    Mutation("addresses", "masking:_secrets", always(()), (ADDRESSES, "without_secrets")),
    Mutation("texts", "printable:printable", unchanged, (TEXTS, "terminals")),
    Mutation("texts", "printable:printable", unchanged, (TEXTS, "questions")),
    Mutation("texts", "config.yaml_text:is_unicode", always(True), (BOMBS, "test_yaml")),
    Mutation("texts", "report.document.csv_text:_harmless", unchanged, (TEXTS, "spreadsheets")),
    Mutation("texts", "report.document.plot_files:printable", unchanged, (TEXTS, "well_formed")),
    Mutation("texts", "report.latex.text:escaped", unchanged, (TEXTS, "latex")),
    Mutation("bombs", "config.yaml_text:_check_size", nothing, (BOMBS, "test_yaml")),
    Mutation("bombs", "config.yaml_text:_check_integers", nothing, (BOMBS, "numbers_of_an_override")),
    Mutation("bombs", "limits:has_too_many_rows", always(False), (BOMBS, "rows_of_a_table")),
    Mutation("bombs", "limits:grows_too_much", always(False), (BOMBS, "pixels")),
    Mutation("bombs", "data.images.decoding:_scans", always(0), (BOMBS, "scans")),
    Mutation("bombs", "limits:MAX_LABEL_CHARACTERS", 2**30, (BOMBS, "labels_of")),
    Mutation("bombs", "data.cache:_opened_without_links", os.open, (BOMBS, "of_others")),
)


def apply(mutation: Mutation) -> None:
    """Replace a remedy, also where modules have imported it by name.

    Raises:
        AttributeError: There is no such remedy any more.
    """
    module, _, path = mutation.remedy.partition(":")
    owner: Any = import_module(f"l2rw_ray.{module}")
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    original = getattr(owner, name)
    setattr(owner, name, mutation.stand_in)
    for known, other in list(sys.modules.items()):
        if known.startswith("l2rw_ray") and not outer and vars(other).get(name) is original:
            setattr(other, name, mutation.stand_in)


def pytest_configure() -> None:
    """Replace the chosen remedy before tests import it."""
    chosen = os.environ.get(_CHOSEN)
    if chosen is not None:
        apply(MUTATIONS[int(chosen)])


def noticed(number: int) -> str | None:
    """Return the first test that fails without a remedy; None where none does."""
    file, expression = MUTATIONS[number].tests
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        __spec__.name,
        "-k",
        expression,
        FOLDER / file,
    ]
    done = subprocess.run(
        [*map(str, command), "-p", "no:cacheprovider", "--timeout=200"],
        cwd=FOLDER.parents[1],
        env=os.environ | {_CHOSEN: str(number)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        return f"killed by signal {-done.returncode}"
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{MUTATIONS[number].remedy} cannot be tried:\n{done.stdout}")
    failed = (line for line in done.stdout.splitlines() if line.startswith("FAILED"))
    return next((line.removeprefix("FAILED ").partition(" - ")[0] for line in failed), None)


def main() -> int:
    """Try all mutations. Returns 1 if one was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="", help="only kinds that hold this word")
    word, missed = parser.parse_args().k, 0
    for number, mutation in enumerate(MUTATIONS):
        if word in mutation.kind:
            test = noticed(number)
            missed += test is None
            print(f"{mutation.kind:14} {mutation.remedy:52} {test or 'NOT NOTICED'}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
