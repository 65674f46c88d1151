"""Run when a Python starts that has the pretended runtime: makes up what is computed on it."""

import os

if os.environ.get("VICREG_PRETENDED_CUDA"):
    from benchmarks.pretended_cuda.kernels import make_up_values

    make_up_values()
