"""The source paper's claims, each held against what was measured, and the page that shows them."""
