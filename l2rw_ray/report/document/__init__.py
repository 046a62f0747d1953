"""Building blocks of every report: tables, sections, plots, templates, files."""
