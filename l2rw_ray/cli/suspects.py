"""Implement `l2rw-ray suspects`: list the labels that are probably wrong, and correct a copy of the table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.text import Text

from l2rw_ray.cli.console import Console
from l2rw_ray.cli.report import on_this_machine
from l2rw_ray.config import TrialConfig
from l2rw_ray.config.data.protocols import NoNoise
from l2rw_ray.config.data.sources import Data
from l2rw_ray.errors import InputError
from l2rw_ray.report.suspects.files import write_rankings
from l2rw_ray.report.suspects.quality import RankingQuality, ranking_qualities
from l2rw_ray.report.suspects.ranking import EvidenceKind
from l2rw_ray.report.suspects.suspect_list import Suspect, SuspectList, list_suspects
from l2rw_ray.report.suspects.tables import mean_text, percent, shortened
from l2rw_ray.results import read_study
from l2rw_ray.results.folder import StudyFolder, unwritable
from l2rw_ray.results.opening import read_study_folder

_FORMATS = (".csv", ".parquet")
_MAX_TEXT = 60
_NOT_WRITTEN = "not written, since the report holds another one: name a folder by --out"


@dataclass(frozen=True)
class SuspectsOptions:
    """Options of the command.

    Attributes:
        where: Levels that the trials must have, `path=level`.
        by: Evidence to rank by.
        top: Number of labels to list, and to correct.
        out: Folder for the files of the ranking; None for the study's report folder, which takes the ranking
            of the report alone.
        fix: File to write with corrected labels; None for none.
    """

    where: Sequence[str]
    by: str
    top: int
    out: str | None
    fix: str | None


def show_suspects(named: str, options: SuspectsOptions) -> None:
    """Print the first labels of the ranking, write all of it, and the corrected table if asked to.

    Args:
        named: Study folder or its address.
        options: Options of the command.

    Raises:
        InputError: An option is wrong, or there is no study, no evidence in it, or a file cannot be written.
    """
    kind, where = _kind(options.by), dict(_level(each) for each in options.where)
    target = None if options.out is None else on_this_machine(options.out)
    fixed = None if options.fix is None else _new_file(options.fix)
    console = Console()
    with read_study_folder(named) as folder:
        folder.fetch_examples()
        suspects = list_suspects(folder, kind, where)
        data = None if fixed is None else _correctable(suspects, folder, fixed)
        for line in (*_table(suspects, options.top), *_summary(suspects)):
            console.print(Text(line), soft_wrap=True)
        is_written = target is not None or (not where and kind is EvidenceKind.COMBINED)
        files = _write(suspects, folder, target) if is_written else _NOT_WRITTEN
        console.print(Text(f"ranking  {files}"), soft_wrap=True)
        if fixed is not None and data is not None:
            count = _fix(suspects, data, options.top, fixed)
            line = f"fixed    {fixed}: {count} of {len(suspects):,} labels changed"
            console.print(Text(line), soft_wrap=True)


def _kind(given: str) -> EvidenceKind:
    try:
        return EvidenceKind(given)
    except ValueError:
        known = ", ".join(EvidenceKind)
        raise InputError("--by", given, "no kind of evidence", f"use one of {known}") from None


def _level(given: str) -> tuple[str, str]:
    path, equals, level = given.partition("=")
    if not equals:
        raise InputError("--where", given, "not of the form path=level", "try --where method.name=l2rw")
    return path.strip(), level.strip()


def _new_file(given: str) -> Path:
    """Return the file that `--fix` names, which must not exist: nothing is overwritten."""
    path = on_this_machine(given)
    if path.suffix not in _FORMATS:
        raise InputError("--fix", given, "of no known format", f"end its name in {' or '.join(_FORMATS)}")
    if path.exists():
        raise InputError("--fix", given, "it exists already", "name a new file")
    if not path.parent.is_dir():
        raise InputError("--fix", given, f"there is no folder {path.parent}", "create it, or name another")
    return path


def _table(suspects: SuspectList, top: int) -> Iterator[str]:
    """Yield the lines of a table, the text of an example last, so that nothing else is cut off."""
    means = [name for name in ("weight", "loss") if suspects.varies(name)]
    rows = [["", "row", "given", "models prefer", *means, ""]]
    rows += [[_printable(cell) for cell in _cells(suspect, means)] for suspect in suspects.suspects(top)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, text in rows:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join((*padded, text)).rstrip()


def _cells(suspect: Suspect, means: Sequence[str]) -> Iterator[str]:
    yield str(suspect.rank)
    yield suspect.id
    yield _with_probability(suspect.given, suspect.given_probability)
    yield _with_probability(suspect.preferred, suspect.preferred_probability)
    for name in means:
        yield mean_text(name, suspect.means[name])
    yield shortened(suspect.text or "", _MAX_TEXT)


def _with_probability(label: str, probability: float | None) -> str:
    return label if probability is None else f"{label} ({percent(probability)})"


def _printable(text: str) -> str:
    """Return a text of the data without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _summary(suspects: SuspectList) -> Iterator[str]:
    point, evidence = suspects.point, suspects.evidence
    best = f", the best of {suspects.points} on the validation set" if suspects.points > 1 else ""
    yield f"trials   {len(point.trial_ids)} of {point.name}{best}"
    unseen = int((evidence.out_of_sample > 0).sum())
    prefer = "" if evidence.is_regression else f"; models prefer another for {evidence.contradicted.sum():,}"
    yield f"labels   {len(suspects):,}, {unseen:,} of them predicted out of sample{prefer}"
    for quality in ranking_qualities(evidence):
        if quality.kind is suspects.kind:
            yield f"truth    of {quality.known:,} known labels, {_quality(quality)}"


def _quality(quality: RankingQuality) -> str:
    found = ", ".join(f"{value:.0%} of the first {share:.0%}" for share, value in quality.precision.items())
    return f"{found} are wrong; {quality.wrong:.0%} of all (AUROC {quality.auroc:.3f})"


def _write(suspects: SuspectList, folder: StudyFolder, target: Path | None) -> str:
    """Write the files of the ranking. Returns their paths or addresses."""
    place = folder.report if target is None else target
    try:
        files = write_rankings(suspects, place)
    except OSError as error:
        raise InputError("--out", place, *unwritable(error)) from error
    if folder.store is None or target is not None:
        return ", ".join(map(str, files))
    for file in files:
        folder.store.put(file)
    names = (file.relative_to(folder.path).as_posix() for file in files)
    return ", ".join(folder.store.location.inside(name) for name in names)


def _correctable(suspects: SuspectList, folder: StudyFolder, path: Path) -> Data:
    """Return the `data` section of a study whose labels `--fix` can correct."""
    if suspects.evidence.is_regression:
        problem = "the study is a regression, whose models suggest no label"
        raise InputError("--fix", path, problem, "leave it out")
    data = _trial_of(suspects, folder).data
    if not isinstance(data.noise, NoNoise):
        problem = "the study simulates noise, so that wrong labels are not those of its table"
        raise InputError("--fix", path, problem, "leave it out")
    return data


def _fix(suspects: SuspectList, data: Data, top: int, path: Path) -> int:
    """Write the train table with suggested labels. Returns the number of labels that differ.

    Labels verified to be right stay, whatever the models prefer.
    """
    from l2rw_ray.data.tables.relabelled import write_relabelled

    given = {suspect.id: suspect.given for suspect in suspects.suspects()}
    contradicted = (each for each in suspects.suspects(top) if each.is_contradicted)
    suggested = {each.id: each.preferred for each in contradicted if each.is_wrong is not False}
    try:
        return write_relabelled(data, given, suggested, path)
    except OSError as error:
        problem = (error.strerror or "cannot be written").lower()
        raise InputError("--fix", path, problem, "name a file in a folder that takes files") from error


def _trial_of(suspects: SuspectList, folder: StudyFolder) -> TrialConfig:
    """Return the configuration of the listed trials, which differ in their seeds alone."""
    rows = read_study(folder.path).select(["trial_id", "config"]).to_pylist()
    config = next(row["config"] for row in rows if row["trial_id"] == suspects.point.trial_ids[0])
    return TrialConfig.model_validate_json(config)
