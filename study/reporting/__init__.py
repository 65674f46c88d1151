"""Read results, and render them as reports."""
