"""The harness: studies made of runs, a store that never serves stale numbers, and the reports on them."""

import os

# How long idle threads of torch's spin before they sleep, in turns of a loop: torch's own 300,000 keep a core from whoever
# would end the loop, once other processes work beside it. Read when torch is loaded, so it is set here, unless the user has.
# Measured in benchmarks/README.md ("Threads that wait for each other").
SPIN_TURNS = 1_000
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_TURNS))
