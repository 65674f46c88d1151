"""What it costs to bring runs to workers: start-up, empty jobs, memory, trials an hour, a thousand workers."""
