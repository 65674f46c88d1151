"""What JPEG coding costs a number that is measured on coded images; `python -m benchmarks.jpeg`."""
