"""The results that the paper's tables print, as fractions."""

# Table 1: mean WA and UA over the ten folds, by the preset that has a column's settings
TABLE1 = {
    "baseline": (0.664, 0.577),
    "over": (0.632, 0.586),
    "over-aug": (0.649, 0.595),
    "over-grdt": (0.635, 0.598),
    "best-4khz": (0.642, 0.609),
    "best": (0.645, 0.617),
}
# Table 2: WA and UA of the best model, fold by fold
TABLE2 = (
    (0.641, 0.664),
    (0.688, 0.677),
    (0.703, 0.713),
    (0.620, 0.676),
    (0.648, 0.521),
    (0.664, 0.560),
    (0.685, 0.597),
    (0.643, 0.673),
    (0.648, 0.642),
    (0.510, 0.442),
)
# Table 3: WA and UA with layer-wise batch normalisation, by the size of a minibatch
TABLE3 = {16: (0.636, 0.589), 32: (0.651, 0.590), 64: (0.654, 0.608)}
# Table 6: by subset, a row for each class, then WA and UA; the first choice, the second, the first with soft labels
TABLE6 = {
    "all": (
        (0.602, 0.319, 0.694),
        (0.289, 0.426, 0.155),
        (0.832, 0.058, 0.794),
        (0.730, 0.062, 0.723),
        (0.645, 0.230, 0.665),
        (0.617, 0.216, 0.591),
    ),
    "unanimous": (
        (0.598, 0.347, 0.692),
        (0.294, 0.373, 0.115),
        (0.865, 0.035, 0.837),
        (0.848, 0.036, 0.841),
        (0.731, 0.180, 0.744),
        (0.662, 0.199, 0.613),
    ),
    "ambiguous": (
        (0.604, 0.306, 0.691),
        (0.288, 0.438, 0.167),
        (0.797, 0.081, 0.750),
        (0.623, 0.086, 0.616),
        (0.597, 0.258, 0.619),
        (0.582, 0.228, 0.561),
    ),
}
