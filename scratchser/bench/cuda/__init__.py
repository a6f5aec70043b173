"""The CUDA kernels: timed on a GPU, compiled and counted without one."""
