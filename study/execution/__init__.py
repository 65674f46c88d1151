"""Brings the runs of a study to their end: session, scheduler, executors, and what a person sees."""
