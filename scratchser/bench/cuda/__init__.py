"""The CUDA kernels: timed on a GPU, compiled and counted without one.

gpu             on a real GPU: each kernel of a training step, and the step beside PyTorch's
paper_step      the launches of a training step at the paper's shapes, recorded without a GPU
ptx             every kernel compiled to machine code, and what is a fault
costs           launches, recorded instead of run, and the bytes and operations that each one needs
kernels_page    docs/kernels.md, written from all of these
"""
