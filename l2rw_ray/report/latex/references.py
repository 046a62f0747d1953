"""BibTeX entries of what a study used."""

from dataclasses import dataclass
from importlib.metadata import metadata

REPOSITORY = "Repository"


@dataclass(frozen=True)
class Reference:
    """A publication.

    Attributes:
        key: By which it is cited.
        kind: Kind of the BibTeX entry.
        fields: Its fields by name.
    """

    key: str
    kind: str
    fields: dict[str, str]

    @property
    def entry(self) -> str:
        """The BibTeX entry."""
        fields = ",\n".join(f"  {name} = {{{value}}}" for name, value in self.fields.items())
        return f"@{self.kind}{{{self.key},\n{fields},\n}}\n"


GRAPHS = Reference(
    "bretz2009",
    "article",
    {
        "author": "Bretz, Frank and Maurer, Willi and Brannath, Werner and Posch, Martin",
        "title": "A Graphical Approach to Sequentially Rejective Multiple Test Procedures",
        "journal": "Statistics in Medicine",
        "volume": "28",
        "number": "4",
        "pages": "586--604",
        "year": "2009",
    },
)
BOOTSTRAP = Reference(
    "efron1987",
    "article",
    {
        "author": "Efron, Bradley",
        "title": "Better Bootstrap Confidence Intervals",
        "journal": "Journal of the American Statistical Association",
        "volume": "82",
        "number": "397",
        "pages": "171--185",
        "year": "1987",
    },
)
HEDGES = Reference(
    "hedges1981",
    "article",
    {
        "author": "Hedges, Larry V.",
        "title": "Distribution Theory for {Glass's} Estimator of Effect Size and Related Estimators",
        "journal": "Journal of Educational Statistics",
        "volume": "6",
        "number": "2",
        "pages": "107--128",
        "year": "1981",
    },
)
L2RW = Reference(
    "ren2018",
    "inproceedings",
    {
        "author": "Ren, Mengye and Zeng, Wenyuan and Yang, Bin and Urtasun, Raquel",
        "title": "Learning to Reweight Examples for Robust Deep Learning",
        "booktitle": "Proceedings of the 35th International Conference on Machine Learning",
        "volume": "80",
        "pages": "4334--4343",
        "year": "2018",
    },
)
OPTUNA = Reference(
    "akiba2019",
    "inproceedings",
    {
        "author": "Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and "
        "Koyama, Masanori",
        "title": "Optuna: A Next-generation Hyperparameter Optimization Framework",
        "booktitle": "Proceedings of the 25th {ACM} {SIGKDD} International Conference on Knowledge "
        "Discovery and Data Mining",
        "pages": "2623--2631",
        "year": "2019",
    },
)


def software(version: str | None) -> Reference:
    """Return this package.

    Args:
        version: Its version; None for none.
    """
    own = metadata("l2rw-ray")
    urls = dict(line.split(", ", 1) for line in own.get_all("Project-URL") or [])
    author = own["Author"] or own["Author-email"]
    fields = {
        "author": f"{{{author}}}" if author else "",
        "title": f"{{{own['Name'].replace('-', '_')}}}: {own['Summary']}",
        "version": version or "",
        "url": urls.get(REPOSITORY, ""),
        "note": own["License-Expression"] or "",
    }
    return Reference("l2rw_ray", "software", {name: value for name, value in fields.items() if value})
