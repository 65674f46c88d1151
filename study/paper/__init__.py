"""Hold the source paper's claims against measurements, and show both."""
