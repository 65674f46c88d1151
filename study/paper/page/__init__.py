"""What the page on the source paper says, section by section."""
