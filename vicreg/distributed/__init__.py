"""What the processes of one run send each other."""
