"""Order, warp factors, normalisation and contents of the batches of an epoch."""

from dataclasses import replace

import numpy as np
import pytest

from scratchser import reference
from scratchser.corpus import batches
from scratchser.corpus.batches import Dataset, minibatches, rng_of, training_alphas, training_order, validation_alphas
from scratchser.corpus.features import Features
from scratchser.corpus.normalisation import Bins, Normalisation
from scratchser.corpus.table import Utterance
from scratchser.presets import Config

CONFIG = Config(batch_size=4, vtlp="utterance", oversample=("happiness", "anger"))
PLAIN = Normalisation(0.0, 1.0)


def draw(U=23, F=12, longest=9, seed=4):
    """Utterances of 1 ... longest frames with soft targets and weights, values float32."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, U)
    values = rng.standard_normal((lengths.sum(), F)).astype(np.float32)
    targets, weights = rng.dirichlet(np.ones(4), U), rng.uniform(0.5, 1, U)
    features = Features(values, np.cumsum(lengths) - lengths, lengths)
    classes = ("neutral", "happiness", "sadness", "anger")
    return Dataset(
        classes, (), features, rng.integers(4, size=U), targets.astype(np.float32), weights.astype(np.float32)
    )


DATA = draw()
TRAIN = np.array([0, 1, 2, 4, 5, 7, 8, 9, 11, 13, 14, 15, 17, 20, 21, 22])


def epoch(seed=0, fold=1, number=1, config=CONFIG, normalisation=PLAIN):
    return list(minibatches(DATA, TRAIN, config, normalisation, rng_of(seed, fold, number)))


def test_oversampled_classes_appear_twice_and_other_speakers_never():
    order = training_order(DATA, TRAIN, CONFIG, rng_of(0, 1, 1))
    times = np.bincount(order, minlength=23)
    for u in range(23):
        assert times[u] == (0 if u not in TRAIN else 2 if DATA.labels[u] in (1, 3) else 1)
    plain = training_order(DATA, TRAIN, replace(CONFIG, oversample=()), rng_of(0, 1, 1))
    np.testing.assert_array_equal(np.sort(plain), TRAIN)
    assert (plain != TRAIN).any()


def test_the_order_in_which_utterances_are_listed_does_not_matter():
    orders = [training_order(DATA, listed, CONFIG, rng_of(0, 1, 1)) for listed in (TRAIN, TRAIN[::-1])]
    np.testing.assert_array_equal(*orders)


def test_an_epoch_follows_from_seed_fold_and_number_and_each_of_them_counts():
    first = training_order(DATA, TRAIN, CONFIG, rng_of(5, 2, 3))
    np.testing.assert_array_equal(training_order(DATA, TRAIN, CONFIG, rng_of(5, 2, 3)), first)
    others = [(6, 2, 3), (5, 3, 3), (5, 2, 4), (5, 3, 2), (2, 5, 3), (5, 2, 0), (5, 0, 0)]
    draws = [rng_of(*key).random() for key in [(5, 2, 3), *others]]
    assert len(set(draws)) == len(draws)


def test_warp_factors_of_the_three_strategies():
    def factors(strategy, number=1):
        config = replace(CONFIG, vtlp=strategy)
        return training_alphas(config, 50, rng_of(0, 1, number)), validation_alphas(config, 50, rng_of(0, 1, number))

    for alphas in factors("off"):
        np.testing.assert_array_equal(alphas, np.ones(50))

    (train, validation), (next_train, _) = factors("epoch"), factors("epoch", 2)
    assert len(train) == 50 and len(set(train)) == 1 and train[0] != 1 and train[0] != next_train[0]
    np.testing.assert_array_equal(validation, np.ones(50))

    (train, validation), (next_train, next_validation) = factors("utterance"), factors("utterance", 2)
    drawn = np.concatenate([train, validation, next_train, next_validation])
    assert len(set(drawn)) == 200, "training, validation and epochs draw different factors"
    assert 0.9 <= drawn.min() < 0.91 and 1.09 < drawn.max() <= 1.1


@pytest.mark.parametrize("vtlp", ["off", "epoch", "utterance"])
def test_batches_hold_the_warped_normalised_utterances_of_the_epoch(vtlp):
    config, normalisation = replace(CONFIG, vtlp=vtlp), Normalisation(0.3, 1.7)
    rng = rng_of(0, 1, 1)
    order = training_order(DATA, TRAIN, config, rng)
    alphas = training_alphas(config, len(order), rng)
    drawn = epoch(config=config, normalisation=normalisation)
    np.testing.assert_array_equal(np.concatenate([batch.utterances for batch in drawn]), order)
    sizes = [len(batch.utterances) for batch in drawn]
    assert sizes[:-1] == [4] * (len(sizes) - 1) and sizes[-1] == len(order) % 4 > 0

    factor = iter(alphas)
    for batch in drawn:
        assert batch.x.dtype == np.float32 and batch.x.shape == (len(batch.lengths), max(batch.lengths), 12, 1)
        np.testing.assert_array_equal(batch.lengths, DATA.features.lengths[batch.utterances])
        np.testing.assert_array_equal(batch.targets, DATA.targets[batch.utterances])
        np.testing.assert_array_equal(batch.weights, DATA.weights[batch.utterances])
        for x, length, u in zip(batch.x[..., 0], batch.lengths, batch.utterances, strict=True):
            expected = (reference.vtlp.forward(DATA.features.of(u).astype(np.float64), next(factor)) - 0.3) * 1.7
            np.testing.assert_allclose(x[:length], expected, atol=2e-5)
            assert not x[length:].any()


def test_mixtures_have_the_mixed_loss_and_the_length_of_the_larger_share():
    config = replace(CONFIG, mixup=0.5, class_weights="balanced")
    plain, mixed = (
        list(minibatches(DATA, TRAIN, c, PLAIN, rng_of(0, 1, 1))) for c in (replace(config, mixup=0.0), config)
    )
    shares = []
    for one, two in zip(plain, mixed, strict=True):
        assert np.array_equal(one.utterances, two.utterances) and np.array_equal(one.lengths, two.lengths)
        rest = two.x - one.x  # (1 - share) (x of the partner - x)
        for b, length in enumerate(one.lengths):
            differences = np.where(np.arange(one.x.shape[1])[:, None, None] < length, one.x - one.x[b], 0)
            found = [(rest[b] * d).sum() / (d**2).sum() if d.any() else 0.0 for d in differences]
            errors = [np.abs(rest[b] - f * d).max() for f, d in zip(found, differences, strict=True)]
            p, other = int(np.argmin(errors)), found[int(np.argmin(errors))]
            assert min(errors) < 1e-5 and -1e-6 < other <= 0.5
            loss = one.weights[:, None] * one.targets
            expected = (1 - other) * loss[b] + other * loss[p]
            np.testing.assert_allclose(two.weights[b] * two.targets[b], expected, atol=1e-5)
            assert two.targets[b].sum() == pytest.approx(1, abs=1e-5)
            shares.append(other)
    assert np.ptp(shares) > 0.2
    unlabelled = replace(DATA, weights=np.zeros_like(DATA.weights))
    assert not any(b.targets.any() for b in minibatches(unlabelled, TRAIN, config, PLAIN, rng_of(0, 1, 1)))


def test_a_random_gain_for_each_utterance():
    batches = epoch(config=replace(CONFIG, gain=0.3)), epoch(config=CONFIG)
    gains = []
    for loud, plain in zip(*batches, strict=True):
        assert np.array_equal(loud.weights, plain.weights) and np.allclose(loud.targets, plain.targets, atol=1e-6)
        for b, length in enumerate(plain.lengths):
            difference = loud.x[b, :length] - plain.x[b, :length]
            assert np.ptp(difference) < 1e-5 and not loud.x[b, length:].any()
            gains.append(difference.mean())
    assert 0.15 < np.std(gains) < 0.45


def test_minibatches_of_one_speaker():
    """About as large as batch_size, in another order of the speakers in each epoch."""
    utterances = tuple(Utterance(str(n), None, "abc"[n % 3], "", "", 0) for n in range(23))
    data, config = replace(DATA, utterances=utterances), replace(CONFIG, readout_norm="speaker", select_epoch=False)
    epochs = []
    for number in (1, 2):
        drawn = list(minibatches(data, TRAIN, config, PLAIN, rng_of(0, 1, number)))
        order = training_order(data, TRAIN, config, rng_of(0, 1, number))
        assert sorted(np.concatenate([batch.utterances for batch in drawn])) == sorted(order)
        for batch in drawn:
            assert len(set(batch.utterances % 3)) == 1 and 3 <= len(batch.utterances) <= 6
        epochs.append([batch.utterances[0] % 3 for batch in drawn])
    assert epochs[0] != epochs[1]


def test_balanced_weights_give_each_class_the_same_sum():
    drawn = epoch(config=replace(CONFIG, class_weights="balanced"))
    chosen, weights = (np.concatenate([getattr(b, name) for b in drawn]) for name in ("utterances", "weights"))
    factors = weights / DATA.weights[chosen]
    sums = np.bincount(DATA.labels[chosen], factors)
    np.testing.assert_allclose(sums, len(chosen) / 4, rtol=1e-6)
    assert len(set(np.bincount(DATA.labels[chosen]))) > 1


def test_normalisation_is_eq_5_over_the_training_utterances_alone():
    features = replace(DATA.features, values=DATA.features.values * 3 - 7)
    for u in set(range(23)) - set(TRAIN):
        features.of(u)[:] = np.nan  # so that using another speaker would show
    pixels = np.concatenate([features.of(u).ravel() for u in TRAIN]).astype(np.float64)
    found = Normalisation.of(features, TRAIN, "fold")
    assert found.mean == pytest.approx(pixels.mean(), rel=1e-13)
    assert found.scale == pytest.approx(1 / pixels.std(), rel=1e-8)
    other_order = np.concatenate([TRAIN[::-1], TRAIN[3:7]])
    assert Normalisation.of(features, other_order, "fold") == found  # to the bit
    assert Normalisation.of(features, TRAIN, "off") == Normalisation(0.0, 1.0)
    with pytest.raises(ValueError, match="no utterance"):
        Normalisation.of(features, TRAIN[:0], "fold")


@pytest.mark.parametrize(("kind", "prior"), [("bin", None), ("speaker", 10.0), ("utterance", 1.0)])
def test_each_bin_is_normalised_over_its_group_shrunk_towards_the_training_speakers(kind, prior):
    features, config = DATA.features, replace(CONFIG, normalisation=kind)
    voices = np.arange(23) % 3
    bins = Bins.of(features, TRAIN)
    training = np.concatenate([features.of(u) for u in TRAIN]).astype(np.float64)
    k = 0 if prior is None else round(prior * 1000 / config.shift_ms, 2)
    normalised = bins.normalise(features, voices, config)
    for u in range(23):
        same = {"bin": TRAIN, "speaker": np.flatnonzero(voices == voices[u]), "utterance": [u]}[kind]
        own = np.concatenate([features.of(v) for v in same]).astype(np.float64)
        n = len(own) if prior else 1
        weights = np.repeat([1 / len(own) * n, 1 / len(training) * k], [len(own), len(training)]) / (n + k)
        mixture = np.concatenate([own, training])
        mean = weights @ mixture
        deviation = np.sqrt(weights @ (mixture - mean) ** 2)
        np.testing.assert_allclose(normalised.of(u), (features.of(u) - mean) / deviation, atol=1e-4)


def test_equal_pixels_give_zeros():
    features = replace(DATA.features, values=np.full_like(DATA.features.values, -5))
    normalisation = Normalisation.of(features, TRAIN, "fold")
    x, _ = batches.assemble(features, normalisation, TRAIN[:3], np.ones(3))
    np.testing.assert_array_equal(x, 0)
