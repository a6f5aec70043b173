"""The exercises by name: what each asks for, and how a learner's answer is told from the typical wrong ones."""

from scratchser.check.exercises.batch_norm import BATCH_NORM
from scratchser.check.exercises.conv2d import CONV2D_BACKWARD, CONV2D_FORWARD
from scratchser.check.exercises.cuda_block_sum import CUDA_BLOCK_SUM
from scratchser.check.exercises.cuda_conv2d_forward import CUDA_CONV2D_FORWARD
from scratchser.check.exercises.cuda_matmul_tiled import CUDA_MATMUL_TILED
from scratchser.check.exercises.cuda_saxpy import CUDA_SAXPY
from scratchser.check.exercises.exercise import CudaExercise, Exercise
from scratchser.check.exercises.linear import LINEAR_BACKWARD
from scratchser.check.exercises.lstm import LSTM_BACKWARD, LSTM_CELL_FORWARD
from scratchser.check.exercises.nesterov import NESTEROV
from scratchser.check.exercises.softmax import SOFTMAX_LOSS
from scratchser.check.exercises.stft import STFT
from scratchser.check.exercises.vtlp import VTLP

EXERCISES: dict[str, Exercise | CudaExercise] = {
    exercise.name: exercise
    for exercise in (
        STFT, VTLP, CONV2D_FORWARD, CONV2D_BACKWARD, LSTM_CELL_FORWARD, LSTM_BACKWARD, LINEAR_BACKWARD, SOFTMAX_LOSS,
        BATCH_NORM, NESTEROV, CUDA_SAXPY, CUDA_BLOCK_SUM, CUDA_MATMUL_TILED, CUDA_CONV2D_FORWARD,
    )
}  # fmt: skip
