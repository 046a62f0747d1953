"""Style of the plots; matplotlib's settings are restored afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl

from l2rw_ray.report.document.palette import INK, QUIET


@contextmanager
def drawing() -> Iterator[None]:
    """Apply the style of the plots inside the block."""
    with mpl.rc_context(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": QUIET,
            "axes.grid": True,
            "axes.labelcolor": INK,
            "axes.labelsize": 10,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlecolor": INK,
            "axes.titlelocation": "left",
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "font.family": ["sans-serif"],
            "font.size": 10,
            "grid.alpha": 0.25,
            "grid.color": QUIET,
            "grid.linewidth": 0.8,
            "legend.frameon": False,
            "legend.handlelength": 1.8,
            "legend.labelcolor": INK,
            "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
            "svg.fonttype": "none",
            "svg.hashsalt": "l2rw",
            "text.color": INK,
            "text.parse_math": False,
            "xtick.color": QUIET,
            "xtick.labelcolor": INK,
            "xtick.major.size": 0,
            "ytick.color": QUIET,
            "ytick.labelcolor": INK,
            "ytick.major.size": 0,
        }
    ):
        yield
