"""Draw figures as SVG from rows of numbers, one module a kind."""
