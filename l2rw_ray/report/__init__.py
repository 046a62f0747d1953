"""The report of a study, from its ledger alone: HTML, Markdown, plots and CSV."""

from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.combined.writing import write_combined_report
from l2rw_ray.report.document.files import ReportPaths
from l2rw_ray.report.writing import write_report

__all__ = ["ReportPaths", "summarise", "write_combined_report", "write_report"]
