"""The page over all studies of a profile: their answers, a leaderboard of runs, and what is stale."""
