"""A study's figures, each with its title and the table of what it shows."""
