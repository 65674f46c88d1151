"""`params.yaml` read into one frozen, checked `Config`."""
