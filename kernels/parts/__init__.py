"""What the ops are made of.

tile         the register tile of the matrix product on the CPU
tile_cuda    the register tile of the matrix product on a GPU
windows      the windows of a convolution on the CPU
windows_cuda the windows of a convolution on a GPU
cell         the LSTM cell: gates and states of one time step
frames       copies of the LSTM: real frames out of a padded batch and back
stream       the LSTM's product h Wh on a GPU
statistics   batch normalisation of one number, and running statistics
"""
