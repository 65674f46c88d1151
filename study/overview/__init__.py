"""The page over all studies: answers, a leaderboard, and what is stale."""
