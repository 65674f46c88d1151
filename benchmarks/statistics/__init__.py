"""Whether the statistics of reports hold, on synthetic studies of known truth."""
