"""Reports: what is read, the numbers as text, figures, tables, and both pages of a view."""
