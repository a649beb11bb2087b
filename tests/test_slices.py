import dataclasses

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from tests.made_predictions import SPEAKER_NAMES, random_predictions
from trainer import bootstrap
from trainer.scripts import script_of
from trainer.slices import slices


def by_value(predictions, dimension):
    return {found.value: found for found in slices(predictions, SPEAKER_NAMES) if found.dimension == dimension}


@pytest.fixture(scope="module")
def predictions():
    return random_predictions()


def test_every_dimension_holds_every_window(predictions):
    found = slices(predictions, SPEAKER_NAMES)
    dimensions = ["labels", "turn index", "history turns", "speaker", "script", "tokens"]
    assert list(dict.fromkeys(one.dimension for one in found)) == dimensions
    for dimension in dimensions:
        assert sum(one.windows for one in found if one.dimension == dimension) == 200


def test_figures_are_scikit_learns_of_the_windows(predictions):
    found = by_value(predictions, "labels")["2"]
    rows = predictions.labels.sum(axis=1) == 2
    true, said = predictions.labels[rows], predictions.predicted[rows]
    assert found.windows == rows.sum()
    assert found.micro_f1 == pytest.approx(f1_score(true, said, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(true, said, average=None)[true.any(axis=0)].mean())
    assert found.exact_match == pytest.approx(accuracy_score(true, said))


def test_intervals_are_those_of_plain_resampling(predictions):
    found = by_value(predictions, "history turns")["3"]
    rows = (predictions.turn_lengths > 0).sum(axis=1) == 4
    conversations, weights = bootstrap.conversation_weights(predictions.conversation_ids)
    expected = [f1_score(predictions.labels[rows], predictions.predicted[rows], average="micro", zero_division=0,
                         sample_weight=drawn[conversations[rows]]) for drawn in weights[:300]]
    # Every replicate here draws a window of the slice, so none is left out.
    assert found.micro_f1_interval == pytest.approx(bootstrap.interval(np.array(expected)), abs=0.03)
    assert found.micro_f1_interval[0] < found.micro_f1 < found.micro_f1_interval[1]


def test_windows_without_labels_have_no_f1(predictions):
    found = by_value(predictions, "labels")["0"]
    assert (found.micro_f1, found.micro_f1_interval, found.macro_f1) == (None, None, None)
    assert 0 < found.exact_match < 1


def test_a_slice_of_one_conversation_has_no_interval(predictions):
    lengths = predictions.turn_lengths.copy()
    lengths[:, 0], lengths[predictions.conversation_ids == predictions.conversation_ids[0], 0] = 1, 40
    found = by_value(dataclasses.replace(predictions, turn_lengths=lengths), "tokens")
    assert found["33+"].micro_f1_interval is None and found["1–2"].micro_f1_interval is not None


def test_names_of_bins(predictions):
    numbered = dataclasses.replace(predictions, turn_indices=np.arange(200) - 1)
    assert {value: found.windows for value, found in by_value(numbered, "turn index").items()} == {
        "0": 2, "1": 1, "2": 1, "3–4": 2, "5–8": 4, "9–16": 8, "17+": 182}
    assert set(by_value(predictions, "history turns")) == {"0", "1", "2", "3", "4", "5"}


def test_speakers_have_their_names(predictions):
    assert list(by_value(predictions, "speaker")) == ["(unseen in training)", "agent", "user"]


def test_rare_scripts_are_taken_together(predictions):
    texts = np.array(["hello"] * 150 + ["你好"] * 40 + ["12"] * 8 + ["привет", "שלום"], object)
    found = by_value(dataclasses.replace(predictions, texts=texts), "script")
    assert {value: one.windows for value, one in found.items()} == {"Latin": 150, "Han": 40, "none": 8, "Cyrillic": 1,
                                                                   "Hebrew": 1}
    many = random_predictions(windows=2000)
    texts = np.array(["hello"] * 1998 + ["привет", "שלום"], object)
    found = by_value(dataclasses.replace(many, texts=texts), "script")
    assert {value: one.windows for value, one in found.items()} == {"Latin": 1998, "other": 2}


@pytest.mark.parametrize(("text", "script"), [
    ("Café, s'il vous plaît!", "Latin"), ("我想订酒店。", "Han"), ("我想订一个有WiFi的酒店，离地铁近一点", "Han"),
    ("订酒店 hotel", "mixed"), ("مرحبا", "Arabic"), ("Привет", "Cyrillic"), ("ホテルを予約したい", "Japanese"),
    ("호텔", "Hangul"), ("ｈｅｌｌｏ", "Latin"), ("αβγ", "Greek"), ("नमस्ते", "Devanagari"), ("", "none"),
    ("12:30 😀 ?!", "none"), ("\u202e\x00", "none"), ("\U000e0fff\uffff", "none"),
])
def test_script_of(text, script):
    assert script_of(text) == script
