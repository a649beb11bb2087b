"""Warm starts: what is known by name goes on as it was, whatever its place."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from schemas import data_directory
from schemas.exit_status import UsageError
from tests.data_directories import LABELS, small_data_directory
from trainer.config import load_config
from trainer.models import Sizes, build_model, load_model
from trainer.predictions import predict
from trainer.training import train
from trainer.warm_start import Source, carry_over, read_source
from trainer.word_vectors import give_words

OLD_WORDS = ["", "a", "b", "c", "d", ""]
NEW_WORDS = ["", "d", "new", "b", "a", "c", "newer", ""]
OLD_LABELS, NEW_LABELS = ["x", "y", "z"], ["z", "fresh", "x", "y"]
OLD_SPEAKERS, NEW_SPEAKERS = ["agent", "user"], ["bot", "user", "agent"]
SMALL = ["embedding_dim=6", "units=4", "hidden_units=5", "readout_hops=2", "readout_units=3", "dropout=0",
         "token_dropout=0", "slot_speaker=true", "ngram_buckets=50"]
NETWORKS = {
    "default": [],
    "chain": ["head=chain", "encoder=gru", "readout=self_attention"],
    "sequence": ["head=sequence", "loss=sequence_crossentropy"],
    "ngram_bag": ["encoder=ngram_bag", "readout=mean", "embedding=two_channel", "embedding_file=x"],
}


def sizes(words, labels, speakers):
    return Sizes(len(words), 5, 3, 2 + len(speakers), 1, len(labels))


def windows(words, speakers, seed=0):
    """The same windows of the four words and two speakers, as one model or the other has them."""
    random = np.random.default_rng(seed)
    ids = np.array([words.index(word) for word in "abcd"] + [len(words) - 1])
    names = np.array([2 + speakers.index(name) for name in ("user", "agent")])
    lengths = random.integers(1, 6, (8, 3))
    tokens = ids[random.integers(0, 5, (8, 3, 5))] * (np.arange(5) < lengths[..., None])
    return {"token_ids": tokens.astype(np.int32), "turn_lengths": lengths.astype(np.int32),
            "turn_keys": np.arange(1, 25).reshape(8, 3), "numeric": random.normal(size=(8, 1)).astype(np.float32),
            "speakers": names[random.integers(0, 2, (8, 3))].astype(np.int32)}


def networks(settings):
    """A network with weights far from fresh ones, as a source, and a fresh one for other names."""
    config = dataclasses.replace(load_config("default", None, [*SMALL, *settings]), seed=1)
    old = build_model(config, sizes(OLD_WORDS, OLD_LABELS, OLD_SPEAKERS))
    new = build_model(config, sizes(NEW_WORDS, NEW_LABELS, NEW_SPEAKERS))
    give_words(old, OLD_WORDS, None)
    random = np.random.default_rng(2)
    for weight in old.trainable_variables:
        weight.assign(weight + random.normal(0, 0.3, weight.shape))
    return config, old, new, Source(old.get_weights(), OLD_WORDS, OLD_LABELS, OLD_SPEAKERS, ["n"])


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_known_by_name_gives_the_same_scores(name):
    config, old, new, source = networks(NETWORKS[name])
    if name == "ngram_bag":  # n-grams of tokens are hashed by their ids: they start anew
        old.encoder.reader.forget_token_ids()
    carry_over(new, source, config, sizes(NEW_WORDS, NEW_LABELS, NEW_SPEAKERS), NEW_WORDS, NEW_LABELS, NEW_SPEAKERS)
    give_words(new, NEW_WORDS, None)
    if name == "sequence":  # a fresh label may be written between known ones: never here
        new.head.writer.bias.assign(np.where(np.arange(5) == 1, -1e9, new.head.writer.bias))
        order = [NEW_LABELS.index(label) for label in ("z", "x", "y")]
        old_order = [OLD_LABELS.index(label) for label in ("z", "x", "y")]
        # It writes in the order of the labels, which is another one: only what does not follow from it is compared.
        np.testing.assert_allclose(new.head.label_table.numpy()[order], old.head.label_table.numpy()[old_order])
        np.testing.assert_allclose(new.head.writer.kernel.numpy()[:, [*order, -1]],
                                   old.head.writer.kernel.numpy()[:, [*old_order, -1]])
        return
    before = old(windows(OLD_WORDS, OLD_SPEAKERS), training=False)
    after = new(windows(NEW_WORDS, NEW_SPEAKERS), training=False)
    for output in ("attention", "gate"):
        np.testing.assert_allclose(after[output], before[output], atol=1e-6)
    if name == "chain":  # its labels see those before them, and a fresh one sees nothing yet
        return
    scores = after["scores"].numpy()[:, [NEW_LABELS.index(label) for label in OLD_LABELS]]
    np.testing.assert_allclose(scores, before["scores"], atol=1e-6)


def test_what_is_new_starts_as_unknown():
    config, old, new, source = networks([])
    fresh = new.head.dense.kernel.numpy()[:, 1]
    carry_over(new, source, config, sizes(NEW_WORDS, NEW_LABELS, NEW_SPEAKERS), NEW_WORDS, NEW_LABELS, NEW_SPEAKERS)
    tables = [model.encoder.embedding.table.get_weights()[0] for model in (old, new)]
    np.testing.assert_array_equal(tables[1][NEW_WORDS.index("new")], tables[0][-1])
    np.testing.assert_array_equal(tables[1][[0, -1]], tables[0][[0, -1]])
    speakers = [model.memory.speaker_table.numpy() for model in (old, new)]
    np.testing.assert_array_equal(speakers[1][2], speakers[0][1])
    np.testing.assert_array_equal(new.head.dense.kernel.numpy()[:, 1], fresh)


@pytest.mark.parametrize("setting", ["units=8", "hidden_units=0", "slot_position=false"])
def test_another_network_is_refused(setting):
    config, _, _, source = networks([])
    other = load_config("default", None, [*SMALL, setting])
    new = build_model(other, sizes(NEW_WORDS, NEW_LABELS, NEW_SPEAKERS))
    with pytest.raises(UsageError, match="warm_start: .* the settings must be the same"):
        carry_over(new, source, other, sizes(NEW_WORDS, NEW_LABELS, NEW_SPEAKERS), NEW_WORDS, NEW_LABELS, NEW_SPEAKERS)


SETTINGS = ["embedding_dim=6", "units=4", "global_batch_size=16", "learning_rate=0.02"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("warm")
    small_data_directory(path / "data")
    train(str(path / "data"), str(path / "model"), load_config("default", None, [*SETTINGS, "epochs=6"]))
    return path


def test_training_goes_on_from_an_earlier_model_with_renamed_labels(trained, tmp_path, capsys):
    shutil.copytree(trained / "data", tmp_path / "data")
    names = ["purchase" if label == LABELS[0] else label for label in LABELS]
    labels = json.loads((trained / "data" / data_directory.LABELS).read_text("utf-8")) | {"labels": names}
    (tmp_path / "data" / data_directory.LABELS).write_text(json.dumps(labels), "utf-8")
    (tmp_path / "data" / data_directory.CONFIG).write_text(json.dumps({"label_map": {LABELS[0]: "purchase"}}), "utf-8")
    settings = [*SETTINGS, "epochs=1", "learning_rate=1e-9", f"warm_start={trained / 'model'}"]
    train(str(tmp_path / "data"), str(tmp_path / "model"), load_config("default", None, settings))
    assert "words and 4 of 4 labels are known" in capsys.readouterr().out
    before, after = predict(trained / "model", trained / "data", "test"), predict(tmp_path / "model", tmp_path / "data",
                                                                                  "test")
    np.testing.assert_allclose(after.raw_scores, before.raw_scores, atol=1e-5)
    config = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert config["warm_start_sha256"] == data_directory.sha256_of(trained / "model" / "best.keras")


def test_the_source_of_a_model_directory(trained, tmp_path):
    source = read_source(trained / "model")
    assert source.words[1:3] == ["w1", "w2"] and len(source.words) == 13 and source.labels == list(LABELS)
    weights = load_model(trained / "model" / "best.keras").get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(source.weights, weights, strict=True))
    with pytest.raises(UsageError, match="is no completed model directory"):
        read_source(tmp_path)
