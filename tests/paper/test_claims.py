"""The paper's claims on synthetic corpora: the intervals, the independence of the corpora, the arms, the training."""

import json
import re
from argparse import Namespace
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats
from small_corpus import read_csv

from scratchser.corpus import synthetic
from scratchser.corpus.batches import Dataset, training_order
from scratchser.corpus.features import Features, Signal
from scratchser.corpus.table import CLASSES, Corpus, CorpusError, Utterance
from scratchser.evaluate import copies
from scratchser.metrics import interval
from scratchser.paper.claims import annotators, corpora, experiment, oversampling, rates, vtlp
from scratchser.paper.claims import claim as training
from scratchser.paper.claims.claim import SMALL, Arm, Claim, Difference, difference
from scratchser.paper.claims.corpora import TRAIN, UNSEEN, VALIDATION, CorpusSpec
from scratchser.paper.claims.experiment import CLAIMS
from scratchser.runs.fold_dir import FoldDir
from scratchser.runs.folder import RunError

TINY_SPEC = CorpusSpec(train=(1, 1, 1, 1), test=(1, 1, 1, 1))
TINY = replace(
    SMALL, conv_channels=(4,), conv_kernels=((3, 5),), conv_strides=((4, 16),), lstm_units=4, epochs=2, batch_size=16
)


# ---- statistics


def test_an_interval_is_that_of_scipy():
    numbers = np.random.default_rng(0).normal(2, 3, 17)
    found = interval(numbers)
    expected = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], rtol=1e-12)
    assert (found.mean, found.sd, found.n) == (pytest.approx(numbers.mean()), pytest.approx(numbers.std(ddof=1)), 17)
    assert found.covers(found.low) and found.covers(found.high) and not found.covers(found.high + 1e-9)


@pytest.mark.parametrize("numbers", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_what_gives_no_interval_is_refused(numbers):
    with pytest.raises(ValueError, match=r"numbers|not finite"):
        interval(numbers)


# ---- corpora


def test_corpora_have_no_voice_and_no_sound_in_common():
    seeds = [claim.seed(number) for claim in CLAIMS for number in range(1, 101)]
    assert len(set(seeds)) == len(seeds)
    lengths = [synthetic.voice_of(seed, s, 1.0).tract_cm for seed in seeds for s in (*TRAIN, VALIDATION, "5M")]
    assert len(set(lengths)) == len(lengths)
    keys = [{line.key for line in synthetic.script(seed, corpora.POOL)} for seed in seeds[:2]]
    assert keys[0].isdisjoint(keys[1])
    one, other = corpora.corpus(TINY_SPEC, seeds[0]), corpora.corpus(TINY_SPEC, seeds[1])
    sounds = [made.read(u)[0].tobytes() for made in (one, other) for u in made.utterances[::5]]
    assert len(set(sounds)) == len(sounds) >= 16


@pytest.mark.parametrize("spec", [CorpusSpec(), oversampling.RARE, annotators.MANY])
def test_each_role_has_its_speakers_and_its_utterances(spec):
    made = corpora.corpus(spec, 77)
    by_voice = Counter((u.name.split("_")[0][3:5].lstrip("0") + u.gender, u.speaker, u.label) for u in made.utterances)
    expected = {s: (s, spec.train) for s in TRAIN} | {VALIDATION: (VALIDATION, (1, 1, 1, 1))}
    expected |= {s: (UNSEEN, spec.test) for s in ("3M", "4F", "4M", "5F", "5M")}
    assert by_voice == {(s, name, k): n for s, (name, counts) in expected.items() for k, n in enumerate(counts)}
    fold = corpora.fold(9)
    assert {fold.test, fold.validation, *fold.train} == set(made.speakers) and fold.number == 9


def test_a_class_with_too_few_utterances_is_an_error():
    with pytest.raises(CorpusError, match="speaker 1F has too few utterances of anger"):
        corpora.corpus(CorpusSpec(train=(1, 1, 1, 1000)), 3)


def test_a_spread_changes_the_lengths_and_nothing_else():
    seeds, speakers = (3, 4), (*TRAIN, VALIDATION, "4F", "5M")
    for seed in seeds:
        plain, wide, equal = ({s: synthetic.voice_of(seed, s, spread) for s in speakers} for spread in (1.0, 2.0, 0.0))
        for s in speakers:
            assert wide[s].tract_cm - 16.2 == pytest.approx(2 * (plain[s].tract_cm - 16.2), rel=1e-12)
            assert equal[s].tract_cm == pytest.approx(16.2, rel=1e-15)
            for other in (wide, equal):
                assert asdict(other[s]) | {"tract_cm": 0} == asdict(plain[s]) | {"tract_cm": 0}
    one, other = (corpora.corpus(CorpusSpec(spread, TINY_SPEC.train, TINY_SPEC.test), 3) for spread in (2.0, 0.0))
    assert one.utterances == other.utterances


# ---- arms


def changes(one, other):
    """Names of what differs between two arms."""
    a, b = ({**asdict(arm.config), "spec": arm.spec, "seed": arm.other_seed} for arm in (one, other))
    return {name for name in a if a[name] != b[name]}


def test_arms_differ_in_what_they_say():
    arms = vtlp.arms(1)
    assert changes(arms["wide"], arms["wide-vtlp"]) == {"vtlp"} == changes(arms["equal"], arms["equal-vtlp"])
    assert changes(arms["wide"], arms["equal"]) == {"spec"}
    assert changes(arms["wide-vtlp"], arms["wide-vtlp-single"]) == {"tta_copies"}
    assert [len(copies(arms[name].config)) for name in ("wide", "wide-vtlp", "wide-vtlp-single")] == [1, 11, 1]
    assert changes(arms["wide-vtlp"], arms["wide-vtlp-again"]) == {"seed"}
    arms = rates.arms(1)
    assert changes(arms["uniform"], arms["layerwise"]) == {"conv_learning_rate", "conv_l2"}
    assert changes(arms["layerwise"], arms["doubled"]) == {"learning_rate", "l2"}
    assert changes(arms["uniform"], arms["uniform-again"]) == {"seed"}
    arms = oversampling.arms(1)
    assert changes(arms["rare"], arms["rare-twice"]) == {"oversample", "epochs", "patience"}
    assert changes(arms["lot"], arms["lot-others"]) == {"oversample"}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_the_last_epoch_is_the_only_candidate_and_none_stops_early(claim):
    for arm in claim.arms(1).values():
        assert arm.config.first_selectable == arm.config.epochs == arm.config.patience
        assert arm.config.normalisation == "fold"


def updates(arm, seed=1):
    """Batches of all its epochs."""
    corpus = corpora.corpus(arm.spec, seed)
    labels = np.array([u.label for u in corpus.utterances])
    train = np.array([n for n, u in enumerate(corpus.utterances) if u.speaker in TRAIN])
    examples = Dataset(CLASSES, corpus.utterances, Features(None, None, None), labels, None, None)
    each = len(training_order(examples, train, arm.config, np.random.default_rng(0)))
    return arm.config.epochs * -(-each // arm.config.batch_size)


def test_oversampling_makes_no_more_updates():
    arms = oversampling.arms(1)
    assert updates(arms["rare-twice"]) == pytest.approx(updates(arms["rare"]), rel=0.02)
    assert updates(arms["lot"]) == updates(arms["lot-others"])


def test_every_difference_is_taken_in_the_order_of_its_name():
    """UA by arm, such that no two differences are equal."""
    uas = {
        **{"wide": 1, "wide-vtlp": 2, "wide-vtlp-again": 4, "wide-vtlp-single": 7, "equal": 8, "equal-vtlp": 16},
        **{"rare": 1, "rare-twice": 2, "lot": 4, "lot-others": 8},
        **{"uniform": 1, "layerwise": 2, "doubled": 4, "uniform-again": 8},
    }

    class Scores:
        def ua(self, arm):
            return uas[arm]

    found = {d.name: d.value(Scores()) for claim in (vtlp, oversampling, rates) for d in claim.CLAIM.differences}
    assert found == {
        "with VTLP - without, lengths spread wide": 2 - 1,
        "the same, all lengths equal": 16 - 8,
        "spread wide - equal, of these two": (2 - 1) - (16 - 8),
        "TTA - a single pass, spread wide": 2 - 7,
        "with VTLP - with VTLP, another seed": 2 - 4,
        "happiness and anger twice - once, both rare": 2 - 1,
        "balanced, two random classes twice - the other two": 4 - 8,
        "conv layers: twice learning rate, L2 - one for all": 2 - 1,
        "all layers: twice learning rate, L2 - one for all": 4 - 1,
        "one learning rate - the same, another seed": 1 - 8,
    }


def test_the_two_arms_of_the_lot_share_the_classes():
    for seed in range(20):
        arms = oversampling.arms(seed)
        both = (*arms["lot"].config.oversample, *arms["lot-others"].config.oversample)
        assert sorted(both) == sorted(CLASSES)


# ---- annotators


def predictions(labels, predicted, agreed):
    """Rows of predictions.csv, and a corpus whose annotators agree or not."""
    utterances, rows = [], []
    for n, (label, choice, agree) in enumerate(zip(labels, predicted, agreed, strict=True)):
        truth, predicted = CLASSES[label], CLASSES[choice]
        votes = (truth,), (truth if agree else "other",)
        utterances.append(Utterance(f"u{n}", None, UNSEEN, "", "", label, votes))
        rows.append({"utterance": f"u{n}", "fold": "1", "truth": truth, "predicted": predicted, "second": predicted})
    return rows, Corpus("csv", CLASSES, tuple(utterances))


def test_the_gap_by_hand():
    agreed = (1, 1, 0, 0, 1, 1, 0, 1, 1)  # class 2 has no ambiguous utterance: left out
    found = annotators.gap(*predictions((0, 0, 0, 0, 1, 1, 1, 2, 2), (0, 0, 0, 3, 1, 0, 0, 2, 2), agreed))
    assert found == pytest.approx(100 * ((1 - 0.5) + (0.5 - 0)) / 2)


def test_shuffled_votes_keep_each_class_and_have_no_gap():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 200)
    right = rng.random(200) < 0.3 + 0.15 * labels  # classes of unequal difficulty ...
    agreed = rng.random(200) < np.where(right, 0.8, 0.2) * (1 - 0.1 * labels)  # ... and of unequal agreement
    rows, corpus = predictions(labels, np.where(right, labels, (labels + 1) % 4), agreed)
    assert annotators.gap(rows, corpus) > 40
    shuffled = [annotators.shuffled(corpus, rng) for _ in range(300)]
    votes = Counter((u.label, u.votes) for u in corpus.utterances)
    assert all(Counter((u.label, u.votes) for u in one.utterances) == votes for one in shuffled)
    assert interval([annotators.gap(rows, one) for one in shuffled]).covers(0)


# ---- experiments with a stub in place of the training


PLANTED = 6.0  # points of UA
DIFFERENCES = (
    Difference("effect", "planted", difference("with", "without")),
    Difference("null", "none", difference("again", "with")),
)


def planted_arms(seed):
    arm = Arm(TINY_SPEC, TINY)
    return {"without": arm, "with": arm, "again": replace(arm, other_seed=True)}


CLAIM = Claim("planted", 0, planted_arms, DIFFERENCES)


@pytest.fixture
def stubbed(monkeypatch):
    """Trainings that cost nothing: UA = 60 + an offset of the corpus, the same in all arms, + noise of the arm."""

    def train(data, fold, config, seed, folder, notify):
        arm = folder.run.name
        offset = np.random.default_rng([seed // 2, 0]).normal(0, 8)
        noise = np.random.default_rng([seed, len(arm)]).normal(0, 4)
        with folder.locked():
            folder.finish({"ua": (60 + PLANTED * (arm != "without") + offset + noise) / 100})

    monkeypatch.setattr(training, "run_fold", train)
    monkeypatch.setattr(training, "extract", lambda corpus, config: None)
    monkeypatch.setattr(training.Dataset, "of", lambda *arguments: None)
    monkeypatch.setattr(training.corpora, "corpus", lambda spec, seed: synthetic.load(seed, 10))


def run(out, corpora, claims=(CLAIM,), *, workers=1, resume=False, dry_run=False):
    experiment.run(Namespace(out=out, corpora=corpora, workers=workers, resume=resume, dry_run=dry_run), claims)


def values(out, number):
    """The values of each difference of CLAIM."""
    trials = [CLAIM.trial(n, out) for n in range(1, number + 1)]
    return [[difference.value(trial) for trial in trials] for difference in DIFFERENCES]


def test_a_planted_effect_is_found_and_a_planted_null_is_covered(stubbed, tmp_path):
    run(tmp_path, 30)
    effect, null = read_csv(tmp_path / "claims.csv")
    low, high = map(float, effect["95 % interval"].split(" ... "))
    assert effect["covers 0"] == "no" and low < PLANTED < high
    assert null["covers 0"] == "yes"
    by_hand = np.mean(values(tmp_path, 30)[0])
    assert (effect["corpora"], effect["mean"]) == ("30", f"{by_hand:+.1f}")


def test_resuming_trains_only_what_is_missing(stubbed, tmp_path, monkeypatch):
    trained, stub = [], training.run_fold

    def interrupted(data, fold, config, seed, folder, notify):
        if len(trained) == 4:
            raise KeyboardInterrupt
        trained.append(folder.path)
        stub(data, fold, config, seed, folder, notify)

    monkeypatch.setattr(training, "run_fold", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", 3)
    with pytest.raises(RunError, match="--resume"):
        run(tmp_path / "a", 3)
    monkeypatch.setattr(training, "run_fold", lambda *a: (trained.append(a[4].path), stub(*a)))
    run(tmp_path / "a", 3, resume=True)
    assert len(trained) == len(set(trained)) == 9
    run(tmp_path / "b", 3)
    assert values(tmp_path / "a", 3) == values(tmp_path / "b", 3)
    assert len(json.loads((tmp_path / "a/environment.json").read_text())) == 2


def test_other_settings_are_refused_and_more_corpora_are_added(stubbed, tmp_path):
    run(tmp_path, 3)
    few = values(tmp_path, 3)
    other = replace(CLAIM, arms=lambda seed: {**planted_arms(seed), "with": Arm(TINY_SPEC, SMALL)})
    for changed in (other, replace(CLAIM, first_seed=7)):
        with pytest.raises(RunError, match="other settings"):
            run(tmp_path, 3, [changed], resume=True)
    run(tmp_path, 5, resume=True)
    assert values(tmp_path, 3) == few and len(read_csv(tmp_path / "claims_corpora.csv")) == 5 * len(DIFFERENCES)


# ---- experiments with training


def tiny(claim):
    """The claim with trainings of a second: the same arms, each on the smallest corpus."""
    shape = ("conv_channels", "conv_kernels", "conv_strides", "lstm_units", "epochs", "patience", "batch_size")

    def arm(of):
        test = (2,) * 4 if of.spec is annotators.MANY else TINY_SPEC.test
        spec = replace(TINY_SPEC, tract_spread=of.spec.tract_spread, test=test)
        return Arm(spec, replace(of.config, **{name: getattr(TINY, name) for name in shape}), of.other_seed)

    def arms(seed):
        return {name: arm(of) for name, of in claim.arms(seed).items()}

    return replace(claim, first_seed=claim.first_seed + 5_000_000, arms=arms)


def noise(corpus, config):
    """Spectrograms in place of those of the sounds, which take most of the time to make."""
    lengths = np.full(len(corpus.utterances), 20)
    values = np.random.default_rng(0).normal(size=(lengths.sum(), Signal.of(config).bins)).astype(np.float32)
    return Features(values, np.cumsum(lengths) - lengths, lengths)


def test_all_claims_end_to_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(corpora, "POOL", 400)
    monkeypatch.setattr(training, "extract", noise)
    claims = [tiny(claim) for claim in CLAIMS]
    run(tmp_path, 3, claims[2:3], dry_run=True)
    text = capsys.readouterr().out
    assert "3 corpora to go, 3 trainings; 1 claims" in text and re.search(r"about \d+ min", text)
    assert not list(tmp_path.iterdir())
    run(tmp_path, 2, claims)
    printed = capsys.readouterr().out
    run(tmp_path, 2, claims, resume=True, dry_run=True)
    assert capsys.readouterr().out.startswith("0 corpora to go, 0 trainings; 4 claims")
    with pytest.raises(RunError, match="--resume"):
        run(tmp_path, 3, claims, dry_run=True)
    found = read_csv(tmp_path / "claims.csv")
    assert [(row["claim"], row["kind"]) for row in found] == [(c.name, d.kind) for c in claims for d in c.differences]
    (ratio,) = read_csv(tmp_path / "claims_gradients.csv")
    assert ratio["layer"] == "conv1" and float(ratio["ratio"]) > 0
    assert (tmp_path / "claims.png").exists() and not list(tmp_path.rglob("checkpoint.npz"))
    # a finished experiment gives the same tables without any training
    monkeypatch.setattr(training, "run_fold", None)
    run(tmp_path, 2, claims, resume=True)
    assert capsys.readouterr().out == printed
    # the arms differ in their seeds only
    uniform, again = (FoldDir(tmp_path / "rates" / name, 1, True) for name in ("uniform", "uniform-again"))
    assert uniform.result()["normalisation"] == again.result()["normalisation"]
    assert uniform.metrics()[0]["train"]["loss"] != again.metrics()[0]["train"]["loss"]
