"""Commands about data."""

from typing import Annotated

import typer

from l2rw_ray.cli.options import AllowImport, Overrides, StudyFile


def list_sources() -> None:
    """List the data sources: what they hold, how to get them, and their options."""
    from l2rw_ray.cli.data import print_sources

    print_sources()


def check_data(
    study: StudyFile,
    overrides: Overrides = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder for sample images.", show_default="results/<study name>/data-check", metavar="DIR"
        ),
    ] = None,
    allow_import: AllowImport = None,
) -> None:
    """Load a study's data, count the examples of each set by class, and draw a few images per class."""
    from l2rw_ray.cli.data import check_study_data
    from l2rw_ray.cli.report import on_this_machine
    from l2rw_ray.config import load_study

    spec = load_study(study, overrides or [], allow_import=allow_import or ())
    check_study_data(spec, on_this_machine(out or f"results/{spec.name}/data-check"))
