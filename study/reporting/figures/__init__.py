"""Figures as SVG, one module a kind of figure; they know rows of numbers and nothing of studies."""
