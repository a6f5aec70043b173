"""The kernels, one op per file: equation, CPU side, CUDA side below it.

op               paper                          used by                            checked by
stft             (1)-(3), section 1.2           features.extract                   tests/kernels/test_stft.py
vtlp             (4), (5), section 2            batches.assemble                   tests/kernels/test_vtlp.py
moments          (5)                            batches.Normalisation              tests/test_moments.py
conv2d           section 3, figure 3            layers.Conv2d                      tests/kernels/test_conv2d.py
pool             section 3                      layers.MaxPool                     tests/kernels/test_pool.py
lstm             section 3, figure 3            layers.BiLSTM, model.Model         tests/kernels/test_lstm.py
linear           section 3, figure 3            layers.Dense                       tests/kernels/test_linear.py
softmax          sections 3 and 3.3             train, evaluate                    tests/kernels/test_softmax.py
nesterov         sections 3 and 3.2             optim.Optimiser                    tests/kernels/test_nesterov.py
norms            figure 4                       optim.GradientNorms                tests/test_optim.py
batchnorm        (6)-(14), section 3.1          layers.NormedBiLSTM                tests/kernels/test_batchnorm.py

matmul           the tiled product that conv2d and lstm share                      tests/kernels/test_matmul.py
_tile, _lanes    its tile in registers, as LLVM's vector instructions              tests/kernels/test_matmul.py
_tile_cuda       its tile in registers on a GPU                                    tests/kernels/test_matmul_cuda.py
_windows         a convolution's windows, on the CPU and on a GPU                   tests/kernels/test_conv2d.py
_runs            runs of neighbouring numbers: copied, filled, added               tests/test_runs.py
_cell            the LSTM's cell: gates and states of one step                     tests/kernels/test_lstm.py
_normed          the LSTM's walk where each step is normalised                      tests/kernels/test_batchnorm.py
_statistics      batch normalisation of one number, running statistics             tests/kernels/test_batchnorm.py
_fold            the sum of a block's numbers, CUDA                                tests/kernels/test_norms_cuda.py
_pieces          unequal runs in equal pieces, for a GPU's blocks                  tests/test_pieces.py
_frames          what the LSTM copies: frames of a batch and back, states          tests/kernels/test_lstm.py
_stream          the LSTM's h Wh on a GPU                                          tests/kernels/test_lstm_cuda.py
_expm1           exp x - 1, which the LSTM's gates are made of                     tests/kernels/machine/test_expm1.py
_plain           what LLVM's instructions do, as Python for NUMBA_DISABLE_JIT=1     tests/kernels/machine/test_plain.py
_launch          how kernels are compiled and cached
_device          where arrays live, and how CUDA kernels are launched on them
_no_cuda         the name `cuda` where Numba has no CUDA target
_shapes          what the entry points ask of their arguments
"""
