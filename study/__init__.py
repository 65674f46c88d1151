"""The harness: studies made of runs, a store that never serves stale numbers, and the reports on them."""
