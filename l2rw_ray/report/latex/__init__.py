"""What a report gives to a paper: tables, figures, a paragraph on methods, and references, in LaTeX."""
