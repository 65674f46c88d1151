"""Studies as their files state them, and the runs they ask for."""
