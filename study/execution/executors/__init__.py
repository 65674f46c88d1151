"""Executors: where runs are carried out. `base` is the interface; each other module is one executor."""
