"""The kernels, one op per file: equation, CPU side, CUDA side below it.

op               paper                          used by                            checked by
stft             (1)-(3), section 1.2           features.extract                   tests/test_stft.py
vtlp             (4), (5), section 2            batches.assemble                   tests/test_vtlp.py
moments          (5)                            batches.Normalisation              tests/test_moments.py
conv2d           section 3, figure 3            layers.Conv2d                      tests/test_conv2d.py
lstm             section 3, figure 3            layers.BiLSTM, model.Model         tests/test_lstm.py
linear           section 3, figure 3            layers.Dense                       tests/test_linear.py
softmax          sections 3 and 3.3             train, evaluate                    tests/test_softmax.py
nesterov         sections 3 and 3.2             optim.Optimiser                    tests/test_nesterov.py
norms            figure 4                       optim.GradientNorms                tests/test_optim.py
batchnorm        (6)-(14), section 3.1          between lstm's input part and its gates; not written yet

matmul           the tiled product that conv2d and lstm share                      tests/test_matmul.py
_tile, _lanes    its tile in registers, as LLVM's vector instructions              tests/test_matmul.py
_tile_cuda       its tile in registers on a GPU                                    tests/test_matmul_cuda.py
_windows         a convolution's windows, on the CPU and on a GPU                   tests/test_conv2d.py
_runs            runs of neighbouring numbers: copied, filled, added               tests/test_runs.py
_cell            the LSTM's cell: gates and states of one step                     tests/test_lstm.py
_fold            the sum of a block's numbers, CUDA                                tests/test_norms_cuda.py
_pieces          unequal runs in equal pieces, for a GPU's blocks                  tests/test_pieces.py
_frames          what the LSTM copies: frames of a batch and back, states          tests/test_lstm.py
_stream          the LSTM's h Wh on a GPU                                          tests/test_lstm_cuda.py
_expm1           exp x - 1, which the LSTM's gates are made of                     tests/test_expm1.py
_plain           what LLVM's instructions do, as Python for NUMBA_DISABLE_JIT=1     tests/test_plain.py
_launch          how kernels are compiled and cached
_device          where arrays live, and how CUDA kernels are launched on them
_no_cuda         the name `cuda` where Numba has no CUDA target
_shapes          what the entry points ask of their arguments
"""
