"""Implement `l2rw-ray data`: list the data sources, check a study's data."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from rich.table import Table
from rich.text import Text

from l2rw_ray.cli.console import Console
from l2rw_ray.cli.data_labels import print_labels, print_origins
from l2rw_ray.config import StudySpec, TrialConfig
from l2rw_ray.config.custom import IMPORT_PATH
from l2rw_ray.config.overrides import variants_of
from l2rw_ray.config.section import Section

if TYPE_CHECKING:
    from l2rw_ray.preflight.category_summary import CategorySummary
    from l2rw_ray.preflight.data_summary import SourceSummary
    from l2rw_ray.preflight.token_summary import TokenSummary

_SHOWN_CHARACTERS = 100
"""Of a text that is shown as a sample."""
_COMMON = "All share train_size, meta_per_class, validation_size, test_size, bias and noise."


def print_sources() -> None:
    """Print every source: what it holds, how to get it, and its options."""
    table = Table(show_lines=True)
    table.add_column("source", no_wrap=True)
    table.add_column("description, size, how to get it", ratio=1)
    table.add_column("options", no_wrap=True)
    names: dict[Any, list[str]] = {}
    for name, section in variants_of(TrialConfig, "data").classes.items():
        names.setdefault(section, []).append("custom" if name == IMPORT_PATH else name)
    for section, aliases in names.items():
        about = [(section.__doc__ or "").splitlines()[0].rstrip("."), section.holds, section.obtained]
        options = [_option(name, field) for name, field in section.own_options().items()]
        table.add_row(*(Text("\n".join(lines)) for lines in (aliases, about, options)))
    console = Console()
    console.print(table)
    console.print(_COMMON, highlight=False)


def _option(name: str, field: FieldInfo) -> str:
    """Return an option with its default and, for an enumeration, its other values."""
    if field.is_required():
        return f"{name} (required)"
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, Section):
        default = default.model_dump(exclude_defaults=True)
    shown = default if isinstance(default, str) else json.dumps(default)
    others = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{name}: {shown}" + "".join(f" | {other}" for other in others if other != default)


def check_study_data(spec: StudySpec, out: Path) -> None:
    """Print the sizes of the sets of each data section of a study, and draw sample images.

    Args:
        spec: The study.
        out: Folder for sample images.

    Raises:
        InputError: A source is missing, broken or too small, or `out` cannot be written.
    """
    from l2rw_ray.planning.plan import representative_trials
    from l2rw_ray.preflight.data_summary import summarise_data
    from l2rw_ray.report.sample_images import draw_samples

    console = Console(highlight=False)
    shown: list[SourceSummary] = []
    for summary in summarise_data(representative_trials(spec)):
        source = summary.source
        if not any(_is_same(source, each) for each in shown):
            shown.append(source)
            _print_source(console, source)
            if source.labels is not None:
                print_labels(console, source, source.labels)
            if source.samples is not None:
                number = f"-{len(shown)}" if len(shown) > 1 else ""
                path = out / f"samples{number}.png"
                draw_samples(source.class_names, source.samples, path)
                console.print(Text(f"samples  {path}"), soft_wrap=True)
            if source.texts is not None:
                _print_texts(console, source.class_names, source.texts)
        if summary.scarce:
            console.print(Text(f"too few  verified examples of {', '.join(summary.scarce)}"), soft_wrap=True)
        if summary.problem is not None:
            raise summary.problem
        levels = ", ".join(f"{path} = {_plain(level)}" for path, level in summary.levels.items())
        changed = any(counts.before != counts.after for counts in summary.sets.values())
        arrow = "; without bias and noise → with them" if changed else ""
        console.print(Text(f"\n{levels or 'the four sets'}, seed {summary.seed}{arrow}"), soft_wrap=True)
        console.print(_counts_table(source, summary.sets))
        lines = () if summary.tokens is None else _token_lines(summary.tokens)
        for line in (*lines, *map(_category_line, summary.categories)):
            console.print(Text(line), soft_wrap=True)
        print_origins(console, summary)


def _is_same(one: "SourceSummary", other: "SourceSummary") -> bool:
    """Return whether two summaries say the same; arrays have no truth value of their own."""
    if one is other:
        return True
    first, second = (
        [image.tobytes() for row in each.samples or () for image in row] for each in (one, other)
    )
    return first == second and replace(one, samples=None) == replace(other, samples=None)


def _print_source(console: Console, source: "SourceSummary") -> None:
    known = "" if source.difficulty is None else f", difficulty {source.difficulty:.3f} on average"
    noun = "deciles of the target" if source.is_regression else "classes"
    form = f"{source.form}, {len(source.class_names)} {noun}"
    lines = {
        "source": f"{source.name}: {source.examples:,} {form}{known}",
        "copy": source.copy,
    }
    if source.left_out:
        lines["excluded"] = f"{_rows(source.left_out)} because of their targets"
    lines["skipped"] = _rows(source.skipped_rows)
    for name, text in lines.items():
        console.print(Text(f"{name:<8} {text}"), soft_wrap=True)
    for line in source.skipped:
        console.print(Text(f"         {line}"), soft_wrap=True)
    for name, sentences in (("note", source.notes), ("warning", source.warnings)):
        for sentence in sentences:
            console.print(Text(f"{name:<8} {sentence}"), soft_wrap=True)


def _print_texts(console: Console, names: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    """Print the beginnings of some texts of each class, a line each, without what a terminal would obey."""
    for name, own in zip(names, texts, strict=True):
        for text in own:
            shown = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
            short = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[: _SHOWN_CHARACTERS - 1]}…"
            console.print(Text(f"sample   {name}: {short}"), soft_wrap=True)


def _token_lines(tokens: "TokenSummary") -> Iterator[str]:
    """Yield what is to be known about token ids: their number, lengths, and what is cut and unknown."""
    origin = "trained on the train pool" if tokens.is_trained else "from its file"
    yield f"tokens   {tokens.vocab_size:,} in the vocabulary, {origin}"
    yield f"lengths  {tokens.median:,} tokens (median), {tokens.high:,} (95 %), {tokens.longest:,} (longest)"
    yield f"cut      at {tokens.max_length:,} tokens: {_shares(tokens.cut)}"
    if tokens.unknown:
        yield f"unknown  tokens: {_shares(tokens.unknown)}"


def _category_line(column: "CategorySummary") -> str:
    """Return what is to be known about a column of categories: its values, and the shares that are not."""
    line = f"category {column.name}: {column.values:,} values in the train pool"
    for what, shares in (("missing", column.missing), ("unseen", column.unseen)):
        present = {name: share for name, share in shares.items() if share}
        line += f"; {what}: {_shares(present)}" if present else ""
    return line


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def _counts_table(source: "SourceSummary", sets: dict[str, Any]) -> Table:
    """Return the numbers of examples by class and set: without the protocol → with it, if they differ."""
    table = Table()
    table.add_column("target" if source.is_regression else "class")
    for name in sets:
        table.add_column(name, justify="right")
    for label, name in enumerate(source.class_names):
        table.add_row(Text(name), *(_change(each.before[label], each.after[label]) for each in sets.values()))
    table.add_section()
    table.add_row("all", *(_change(sum(each.before), sum(each.after)) for each in sets.values()))
    if any(each.corrupted for each in sets.values()):
        shares = (f"{each.corrupted:.1%}" if each.corrupted else "" for each in sets.values())
        table.add_row("known wrong" if source.labels else "corrupted", *shares)
    if any(each.unverified for each in sets.values()):
        counts = (f"{each.unverified:,}" if each.unverified else "" for each in sets.values())
        table.add_row("not verified", *counts)
    return table


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}" if count else "no rows"


def _change(before: int, after: int) -> str:
    return f"{after:,}" if before == after else f"{before:,} → {after:,}"


def _plain(level: Any) -> str:
    return level if isinstance(level, str) else json.dumps(level)
