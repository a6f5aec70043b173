"""What the ops are made of.

tile         the register tile of the matrix product on the CPU, and the panels that it reads
tile_cuda    the register tile of the matrix product on a GPU
windows      the windows of a convolution on the CPU
windows_cuda the windows of a convolution on a GPU
cell         the LSTM cell: gates and states of one time step
frames       real frames of a padded batch: copied, and indexed by the steps of the time loop
stream       the LSTM's product h Wh on a GPU
statistics   batch normalisation of one element, and running statistics
"""
