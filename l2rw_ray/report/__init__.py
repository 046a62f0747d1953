"""A study's report, from its ledger alone: HTML, Markdown, figures and CSV."""

from l2rw_ray.report.ablation import summarise
from l2rw_ray.report.joined_writing import write_joined_report
from l2rw_ray.report.writing import ReportPaths, write_report

__all__ = ["ReportPaths", "summarise", "write_joined_report", "write_report"]
