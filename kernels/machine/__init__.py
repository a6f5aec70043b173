"""What kernels run on: how they are compiled and launched, and the vector instructions that they use.

compile      the decorators jit, pjit, cuda_jit and cuda_device, and the compile cache
device       where arrays live (CPU, GPU, simulator) and how CUDA kernels are launched
no_cuda      the name `cuda` where Numba has no CUDA target
shapes       shape checks of the entry points
lanes        SIMD vectors as LLVM instructions
expm1        exp(x) - 1 for a SIMD vector
plain        the same instructions in plain Python, for NUMBA_DISABLE_JIT=1
contiguous   contiguous ranges of an array: copied, filled, added
chunks       ranges of unequal length cut into chunks of equal length, for the blocks of a GPU
block_sum    the sum over the threads of a block
"""
