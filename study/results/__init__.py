"""Results of studies and certificates, as dataclasses with reader and writer."""
