"""VICReg (arXiv 2105.04906) and what is needed to study it: losses, networks, views, optimiser, probes, collapse."""
