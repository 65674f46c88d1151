"""What backs this project's claims of speed and robustness, runnable by anyone."""
