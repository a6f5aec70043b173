"""report.html says what the run's files say, needs nothing but itself, and lets no name become markup."""

import base64
import csv
import io
from dataclasses import replace

import made_up
import matplotlib.image
import numpy as np
import page_check
import pytest
import soundfile

from scratchser.corpus.split import make_folds
from scratchser.corpus.table import Utterance
from scratchser.report import figures, misclassified, page, summary
from scratchser.report.text import percent

NASTY = """<img src=x onerror="alert('1')"> & {{ 7 * 7 }} </td>"""


def with_sound(corpus, seconds=0.5):
    """The corpus with sound: noise of an utterance's own."""

    def read(utterance):
        rng = np.random.default_rng(list(utterance.name.encode()))
        return rng.normal(0, 0.05, int(seconds * 16000)).astype(np.float32), 16000

    return replace(corpus, read=read)


def with_votes(corpus):
    """The corpus with annotators: those of the speaker 1F do not agree."""

    def votes(utterance):
        name = corpus.classes[utterance.label]
        other = corpus.classes[utterance.label - 1]
        return ((name,), (name, other), (other if utterance.speaker == "1F" else name,))

    return replace(corpus, utterances=tuple(replace(u, votes=votes(u)) for u in corpus.utterances))


def written(path, corpus, folds=(1,), audio=False, tuned_on=(), change=lambda run: None, **changes):
    """(result, page) of a run with made-up figures, after `change(run)`."""
    baselines = made_up.baselines(make_folds(corpus)[: len(folds)])
    with made_up.run(path, corpus, folds, **changes) as run:
        change(run)
        result = summary.write(run, baselines=baselines, tuned_on=tuned_on, warnings=["it rained", NASTY])
        page.write(run, corpus, result, audio=audio)
    html = (path / "report.html").read_text(encoding="utf-8")
    assert page_check.problems(html) == []
    return result, html


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    corpus = with_votes(with_sound(made_up.corpus("csv", lacking=("2F", "anger"))))
    return path, *written(path, corpus, (1, 2, 3), config=replace(page.from_json({}), epochs=7))


def table(html, caption):
    (found,) = (t for t in page_check.parse(html).all("table") if t.all("caption")[0].text.startswith(caption))
    return found.rows()


def predictions(path):
    return list(csv.DictReader((path / "predictions.csv").read_text().splitlines()))


def test_a_browser_would_refuse_to_fetch_anything(made):
    policy = [m.attributes for m in page_check.parse(made[2]).all("meta") if "http-equiv" in m.attributes]
    assert policy[0]["content"].startswith("default-src 'none'")


def test_folds_and_matrices_are_those_of_result_json(made):
    _, result, html = made
    rows = table(html, "One fold per test speaker")
    for fold, row in zip(result["folds"], rows[1:], strict=False):
        who = [str(fold["fold"]), fold["test_speaker"], fold["session"], fold["gender"]]
        epochs = [str(fold[name]) for name in ("n_test", "epochs_run", "best_epoch")]
        assert row == [*who, percent(fold["ua"]), percent(fold["wa"]), *epochs, percent(fold["validation"]["ua"])]
    sums = {row[0]: row[1:] for row in rows[4:]}
    assert sums["mean"][:2] == [percent(result["ua_mean"]), percent(result["wa_mean"])]
    assert sums["standard deviation"][:2] == [percent(result["ua_std"]), percent(result["wa_std"])]
    pooled = result["pooled"]
    assert sums["pooled"][:3] == [percent(pooled["ua"]), percent(pooled["wa"]), str(pooled["n"])]
    matrices = [("All test sets together", pooled)]
    matrices += [(f"Fold {fold['fold']}, speaker {fold['test_speaker']}", fold) for fold in result["folds"]]
    for caption, found in matrices:
        cells = table(html, caption)[1:]
        for name, counts, recall, row in zip(
            result["corpus"]["classes"], found["confusion"], found["recalls"], cells, strict=True
        ):
            assert row[0] == name and row[-1] == percent(recall)
            assert [cell.split()[0] for cell in row[1:-1]] == [str(count) for count in counts]
            shares = [percent(count / sum(counts)) if sum(counts) else "-" for count in counts]
            assert [cell.split()[1] for cell in row[1:-1]] == shares


def test_a_run_without_selection_of_an_epoch(tmp_path):
    corpus, config = with_sound(made_up.corpus()), replace(page.from_json({}), select_epoch=False, mel_bands=40)
    _, html = written(tmp_path, corpus, config=config)
    row = table(html, "One fold per test speaker; the last epoch is tested")[1]
    assert len(row) == 8 and "selected on the validation speaker" not in html  # without the best epoch
    assert "validation speaker from" not in html and "40 mel bands" in html


def test_notes_settings_and_versions_are_there(made):
    _, result, html = made
    text = page_check.parse(html).text
    assert "it rained" in text and "speaker 2F has no anger" in text and "best, changed" in text
    settings = {row[0]: row[1:] for row in table(html, "All hyper-parameters")[1:]}
    assert settings["conv_strides"] == ["[[2, 8], [2, 2], [2, 2], [1, 2]]", "same"]
    assert settings["epochs"] == ["7", "changed"] and set(settings) == set(result["config"])
    versions = dict(table(html, "First start"))
    assert versions["libraries"] == "numpy 2.0" and versions["commit"] == "unknown" and versions["cpu"] == "one"


def test_agreement_is_shown_where_there_are_annotators(made):
    path, _, html = made
    rows = [row for row in predictions(path) if row["truth"] == "sadness"]
    found = {row[0]: row[1:] for row in table(html, "Recall in %")[2:]}
    for place, chosen in enumerate(
        [rows, [r for r in rows if r["speaker"] != "1F"], [r for r in rows if r["speaker"] == "1F"]]
    ):
        first = sum(row["predicted"] == "sadness" for row in chosen) / len(chosen)
        second = sum(row["second"] == "sadness" for row in chosen) / len(chosen)
        assert found["sadness"][3 * place : 3 * place + 3] == [str(len(chosen)), percent(first), percent(second)]


def test_the_most_confident_errors_have_spectrograms_of_their_own(made):
    path, _, html = made
    rows = [row for row in predictions(path) if row["predicted"] != row["truth"]]
    expected = sorted(rows, key=lambda row: -float(row[f"p_{row['predicted']}"]))[: misclassified.SHOWN]
    cards = page_check.parse(html).all("article")
    assert [card.all("h3")[0].text for card in cards] == [row["utterance"] for row in expected] and len(cards) == 8
    images = set()
    for card, row in zip(cards, expected, strict=True):
        confidence = percent(float(row[f"p_{row['predicted']}"]))
        assert f"{row['predicted']}, {confidence} %" in card.text and row["truth"] in card.text
        (img,) = card.all("img")
        kind, _, data = img.attributes["src"].partition(",")
        assert kind == "data:image/png;base64" and row["utterance"] in img.attributes["alt"]
        assert matplotlib.image.imread(io.BytesIO(base64.b64decode(data)), format="png").ndim == 3
        images.add(data)
    assert len(images) == 8  # each its own
    votes = [card.text.partition("annotators ")[2] for card in cards]
    assert all(";" in text for text in votes)


def test_recordings_of_a_real_corpus_only_when_asked(tmp_path):
    corpus = with_sound(made_up.corpus("iemocap"))
    _, silent = written(tmp_path / "silent", corpus)
    assert "<audio" not in silent and "--resume --audio" in silent
    _, loud = written(tmp_path / "loud", corpus, audio=True)
    header = page_check.parse(loud).all("header")[0].text
    assert "holds recordings of the corpus iemocap. The licence of IEMOCAP forbids" in header
    by_name = {u.name: u for u in corpus.utterances}
    for card in page_check.parse(loud).all("article"):
        kind, _, data = card.all("audio")[0].attributes["src"].partition(",")
        sound, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
        assert kind == "data:audio/flac;base64" and rate == 16000
        np.testing.assert_allclose(sound, corpus.read(by_name[card.all("h3")[0].text])[0], atol=1 / 32768)


def test_synthetic_recordings_are_always_there_long_ones_cut_and_many_left_out(tmp_path, monkeypatch):
    corpus = with_sound(made_up.corpus("synthetic"), seconds=misclassified.CLIP_SECONDS + 1)
    size = len(misclassified.flac(corpus.read(corpus.utterances[0])[0][: int(16000 * misclassified.CLIP_SECONDS)]))
    monkeypatch.setattr(misclassified, "AUDIO_BYTES", int(3.5 * size))
    _, html = written(tmp_path, corpus)
    clips = page_check.parse(html).all("audio")
    assert len(clips) == 3 and all("only the beginning" in clip.attributes["aria-label"] for clip in clips)
    sound, _ = soundfile.read(io.BytesIO(base64.b64decode(clips[0].attributes["src"].partition(",")[2])))
    assert len(sound) == 16000 * misclassified.CLIP_SECONDS
    assert "SYNTHETIC DATA" in page_check.parse(html).all("header")[0].text


def test_a_name_does_not_become_markup(tmp_path):
    """Utterance, speaker, warning and folder are the user's words; Jinja's own marks in them mean nothing."""
    plain = made_up.corpus("csv")

    def renamed(u: Utterance) -> Utterance:
        speaker = NASTY if u.speaker == "1F" else u.speaker
        return replace(u, name=f"{u.name} {NASTY}", speaker=speaker, votes=((NASTY,), (plain.classes[u.label],)))

    corpus = with_sound(replace(plain, utterances=tuple(map(renamed, plain.utterances)), root=tmp_path / "<b>x"))
    _, html = written(tmp_path / "run", corpus, audio=True)
    parsed = page_check.parse(html)
    assert not parsed.all("b") and "{{ 7 * 7 }}" in html and "49 </td>" not in parsed.text
    assert parsed.all("article")[0].all("h3")[0].text.endswith(NASTY)
    assert NASTY in parsed.all("article")[0].all("img")[0].attributes["alt"]
    assert NASTY in table(html, "One fold per test speaker")[1][1]
    assert any(item.text == NASTY for item in parsed.all("li"))


def test_figures_that_cannot_be_drawn_cost_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "png", lambda figure: b"")
    _, html = written(tmp_path, with_sound(made_up.corpus()))
    assert html.count("This figure could not be drawn") == 3 and "<img" not in html
    assert (tmp_path / "report.txt").exists() and not (tmp_path / "confusion.png").exists()


def test_a_run_without_an_error_and_without_annotators(tmp_path):
    def correct(run):
        (folder,) = run.folds
        rows = predictions(folder.path)
        with open(folder.predictions, "w", newline="") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows({**row, "predicted": row["truth"]} for row in rows)

    _, html = written(tmp_path, with_sound(made_up.corpus()), change=correct)
    text = page_check.parse(html).text
    assert "No test utterance was misclassified" in text and " 1 fold." in text
    assert "no annotators" in text and "Recall in %" not in html


def test_the_paper_and_the_untuned_speakers_beside_an_unfinished_run(tmp_path):
    def unfinish(run):
        (run.folds[2].path / "result.json").unlink()

    corpus = with_sound(made_up.all_of_iemocap())
    result, html = written(tmp_path, corpus, (1, 2, 3), tuned_on=("1F",), change=unfinish)
    rows, text = table(html, "One fold per test speaker"), page_check.parse(html).text
    assert rows[1][6:8] == ["66.4", "64.1"] and rows[3][3:5] == ["61.7", "64.5"]
    assert f"on whom no setting was chosen: 1M. UA {percent(result['headline']['ua_mean'])} %" in text
    assert "This run is not finished" in text and result["complete"] is False and " 2 folds." in text
