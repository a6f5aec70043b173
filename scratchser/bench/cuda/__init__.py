"""The CUDA side measured and accounted for.

gpu           on a real GPU: each kernel of a training step, and the step beside PyTorch's
paper_step    the launches of a training step at the paper's shapes, recorded without a GPU
ptx           every kernel compiled to machine code without a GPU
costs/        the memory traffic and operations of each kernel, as formulas
occupancy     how many blocks a multiprocessor holds
roofline      what memory, arithmetic and the host allow at best
kernels_page  docs/kernels.md, written from all of these
"""
