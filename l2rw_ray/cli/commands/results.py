"""Commands that show what a study found."""

from typing import Annotated

import typer

from l2rw_ray.cli.options import Directory, TrackingUri
from l2rw_ray.cli.plain_characters import say


def report(
    directories: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR...",
            help="Study folder or its address; several for one combined report.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the report.",
            show_default="DIR/report; results/joined-report for several",
            metavar="DIR",
        ),
    ] = None,
    latex: Annotated[
        bool,
        typer.Option(
            "--latex", help="Also write tables, figures, a paragraph on methods and references for a paper."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Write the report of a study from its ledger, or one combined report of several studies."""
    from l2rw_ray.cli.report import ReportOptions, print_report

    print_report(directories, ReportOptions(out, latex, as_json))


def suspects(
    directory: Directory,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=LEVEL",
            help="Level of a factor that the trials must have, as method.name=l2rw; can be repeated.",
            show_default="the design point that is best on the validation set",
        ),
    ] = None,
    by: Annotated[
        str, typer.Option(help="Evidence to rank by: combined, prediction, loss, weight or score.")
    ] = "combined",
    top: Annotated[
        int, typer.Option(min=1, help="Number of labels to list, and to correct with --fix.")
    ] = 20,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder for suspects.csv and suspects.parquet; required to save a list by --where or --by.",
            show_default="DIR/report",
            metavar="DIR",
        ),
    ] = None,
    fix: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a copy of the train table, .csv or .parquet, with the labels that models prefer.",
        ),
    ] = None,
) -> None:
    """List the train labels that are probably wrong, if the study kept examples."""
    from l2rw_ray.cli.suspects import SuspectsOptions, show_suspects

    show_suspects(directory, SuspectsOptions(where or [], by, top, out, fix))


def publish(
    directory: Directory,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the published study.", show_default="reports/<study name>", metavar="DIR"
        ),
    ] = None,
    previews: Annotated[
        bool,
        typer.Option(
            "--previews", help="Show texts and thumbnails of the examples whose labels may be wrong."
        ),
    ] = False,
) -> None:
    """Copy a study for readers to a folder: study file, ledger as one file, notes and report page."""
    from l2rw_ray.cli.report import publish_study

    say(publish_study(directory, out, previews=previews))


def track(directory: Directory, tracking_uri: TrackingUri = None) -> None:
    """Update the MLflow mirror of a study."""
    from l2rw_ray.cli.resumption import say_earlier
    from l2rw_ray.masking import masked
    from l2rw_ray.results.opening import read_study_folder
    from l2rw_ray.tracking.mirror import mirror_folder

    with read_study_folder(directory) as folder:
        count = mirror_folder(folder, tracking_uri).trials
        say_earlier(folder)
    say(f"{count} trials mirrored to {masked(tracking_uri) if tracking_uri else folder.tracking_database}")


def ui(
    directory: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Study folder or its address, or a folder of them.", show_default=False
        ),
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anyone who reaches it can read and change every run.")
    ] = "127.0.0.1",
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            help="Names by which browsers may address the server, separated by commas.",
            show_default="this machine and private networks",
            metavar="NAMES",
        ),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            help="Path under which a reverse proxy serves it, such as /mlflow.",
            show_default="none",
            metavar="PATH",
        ),
    ] = "",
) -> None:
    """Serve the MLflow UI of a study, or of all studies in a folder, until Ctrl-C."""
    from l2rw_ray.cli.ui import open_ui
    from l2rw_ray.results.opening import read_study_folder
    from l2rw_ray.tracking.server import Listening

    with read_study_folder(directory) as folder:
        open_ui(folder.path, Listening(port, host, allowed_hosts, prefix))
