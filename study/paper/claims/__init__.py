"""Judge the source paper's numbers and claims, one module a subject."""
