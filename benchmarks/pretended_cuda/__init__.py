"""A CUDA runtime without a GPU, against which the code for GPUs is walked through."""
