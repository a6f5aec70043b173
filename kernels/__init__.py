"""The kernels, one op per file: equation, shared maths, CPU side, CUDA side, entry points.

op                paper                          used by                            checked by tests/kernels/
stft              (1)-(3), section 1.2           corpus.features                    test_stft.py
vtlp              (4), (5), section 2            corpus.batches                     test_vtlp.py
mel               not in the paper               corpus.features                    test_mel.py
mixup             not in the paper               corpus.batches                     test_mixup.py
mean_variance     (5)                            corpus.normalisation               test_mean_variance.py
bin_norm          ours, no equation              corpus.normalisation               test_bin_norm.py
conv2d            section 3, figure 3            layers.Conv2d                      test_conv2d.py
pool              section 3                      layers.MaxPool                     test_pool.py
statistics_pool   ours, no equation              layers.StatisticsPool              test_statistics_pool.py
group_norm        ours, no equation              layers.SpeakerNorm                 test_group_norm.py
lstm              section 3, figure 3            layers.BiLSTM, layers.LastStates   test_lstm.py
linear            section 3, figure 3            layers.Dense                       test_linear.py
softmax           sections 3 and 3.3             fit, evaluate                      test_softmax.py
nesterov          sections 3 and 3.2             optim.Optimiser                    test_nesterov.py
norms             figure 4                       optim.GradientNorms                test_norms.py
batchnorm         (6)-(14), section 3.1          layers.NormedBiLSTM                test_batchnorm.py
batchnorm_frame   (6)-(9): its time loop         batchnorm                          test_batchnorm.py
matmul            the tiled product              conv2d, lstm, batchnorm_frame      test_matmul.py

The CUDA side of each op has a file of its own, cuda/test_<op>_cuda.py.

parts/    what the ops are made of: tiles, windows, frames, the LSTM cell
machine/  what they run on: compilation, devices, vector instructions
"""
