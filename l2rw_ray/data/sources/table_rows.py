"""Which rows of the tables of a section belong together, have a verified label, and are one and the same."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data.row_ids import ColumnIds, RowIds
from l2rw_ray.data.sources.table_labels import Answers
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table

Pools = dict[str, range]
"""As `Source.pools`."""


def verified_rows(config: ParquetData, answers: Answers, pools: Pools) -> Tensor | None:
    """Return which rows have a verified label or target, bool [N]; None where nothing says so of any.

    Args:
        config: The section.
        answers: Labels or targets of the rows.
        pools: Rows that one set alone is drawn from.
    """
    if config.knows_verified:
        return answers.is_verified
    if not config.selects_by_given:
        return None
    verified_N = torch.ones(len(answers.given), dtype=torch.bool)
    verified_N[pools["validation"].start : pools["validation"].stop] = False
    return verified_N


def group_indices(
    config: ParquetData, groups_N: Array | None, pools: Pools, test_groups: Array | None
) -> Tensor | None:
    """Return the index of each row's group, int64 [N]; None where the study names no groups.

    Args:
        config: The section.
        groups_N: Names of the groups.
        pools: Rows that one set alone is drawn from.
        test_groups: Names of the groups of the test table; None without such a table.

    Raises:
        DataError: A group is in two tables that are for different sets.
    """
    if groups_N is None:
        return None
    inside = np.ones(len(groups_N), dtype=np.bool_)
    for rows in pools.values():
        inside[rows.start : rows.stop] = False
    named = {"train": groups_N[inside]}
    named |= {name: groups_N[rows.start : rows.stop] for name, rows in pools.items()}
    if test_groups is not None:
        named["test"] = test_groups
    names = list(named)
    for place, name in enumerate(names):
        for other in names[:place]:
            _check_no_group_is_shared(config, other, named[other], name, named[name])
    _, indices = np.unique(groups_N, return_inverse=True)
    return torch.from_numpy(indices.astype(np.int64))


def check_names_rows(table: "Table", column: str) -> None:
    """Check that a column of identities is of integers or text, which are written in one way.

    Raises:
        DataError: It is missing, or of another type.
    """
    from l2rw_ray.data.tables.table import is_name, plain_type

    field = "trial.data.id"
    for given in map(plain_type, table.require(column, field)):
        if not is_name(given):
            raise DataError(field, column, f"values are of type {given}", "use integers or text")


def check_ids_differ(config: ParquetData, ids: RowIds, test_ids: RowIds | None) -> None:
    """Check that no value of the `id` column occurs twice, in all tables of a section.

    Raises:
        DataError: One does: a row would be in two sets.
    """
    columns = [part.values for part in (ids, test_ids) if isinstance(part, ColumnIds)]
    if len({column.dtype.kind for column in columns}) > 1:
        columns = [column.astype(np.str_) for column in columns]
    named, counts = np.unique(np.concatenate(columns), return_counts=True)
    twice = named[counts > 1]
    if len(twice):
        others = f", and {len(twice) - 1:,} others are not alone either" if len(twice) > 1 else ""
        problem = f"{twice[0]} occurs {counts[counts > 1][0]} times in the tables of this section{others}"
        remedy = "keep one row of each id; rows that belong together have a group"
        raise DataError("trial.data.id", config.id, problem, remedy)


def _check_no_group_is_shared(
    config: ParquetData, first: str, first_groups: Array, second: str, second_groups: Array
) -> None:
    shared = np.intersect1d(first_groups, second_groups)
    if not len(shared):
        return
    problem = f"{len(shared)} groups are in {first} and in {second}, such as {shared[0]}"
    remedy = f"leave trial.data.{second} out, so that the {second} set is drawn by groups"
    raise DataError("trial.data.group", config.group, problem, remedy)
