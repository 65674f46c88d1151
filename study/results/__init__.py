"""The results of a study as dataclasses, their reader and writer, and certificates of what was run again."""
