"""From shards to batches: what a window looks like, exact epochs, order, damaged directories."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from schemas import data_directory
from schemas.data_directory import LabelCounts
from schemas.exit_status import DataRefused
from tests.data_directories import (
    LABELS,
    MAX_TOKENS,
    SLOTS,
    features_of,
    make_windows,
    small_data_directory,
    write_data_directory,
)
from trainer.input_pipeline import (
    Share,
    evaluation_dataset,
    refusing_bad_shards,
    steps_per_epoch,
    training_dataset,
    verify_shards,
    window_count,
    windows_shown,
)
from trainer.oversampling import Oversampling

IDS = ("conversation_id", "turn_index")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory with three train shards, and its manifest."""
    path = tmp_path_factory.mktemp("data") / "data"
    return path, small_data_directory(path, shards=3, transform=False)


def window_keys(dataset):
    """The windows of each batch, told apart by their labels, scalars and turns."""
    return [[(*keys, *numeric, *labels) for keys, numeric, labels in
             zip(windows["turn_keys"].numpy().tolist(), windows["numeric"].numpy().tolist(), labels.numpy().tolist(),
                 strict=True)] for windows, labels in dataset]


def training(data, batch_size=16, seed=3, first_epoch=0, epochs=1, shuffle_buffer=5, **options):
    path, manifest = data
    shown = windows_shown(path, manifest, options.get("oversampling"), epochs)
    return window_keys(training_dataset(path, manifest, batch_size=batch_size, shuffle_buffer=shuffle_buffer, seed=seed,
                                        first_epoch=first_epoch, shown=shown, **options))


def test_a_window_is_what_was_written(data):
    path, manifest = data
    expected = [window for shard in range(3) for window in make_windows(8, 2, "test-")
                if sum(window.conversation_id.encode()) % 3 == shard]
    rows = [(windows, labels, ids, row) for windows, labels, ids in
            evaluation_dataset(path, manifest, "test", 5, beside=IDS) for row in range(len(labels))]
    assert len(rows) == len(expected) == window_count(manifest, "test")
    for (windows, labels, ids, row), window in zip(rows, expected, strict=True):
        values = features_of(window)
        padded = np.zeros((SLOTS, MAX_TOKENS), int)
        for slot, turn in enumerate(window.turns):
            padded[slot, :len(turn.ids)] = turn.ids
        np.testing.assert_array_equal(windows["token_ids"][row], padded)
        np.testing.assert_array_equal(windows["turn_lengths"][row], values["turn_lengths"])
        np.testing.assert_array_equal(windows["turn_keys"][row], values["turn_keys"])
        np.testing.assert_allclose(windows["numeric"][row], values["numeric"])
        np.testing.assert_array_equal(labels[row], window.labels)
        assert ids["conversation_id"][row].numpy().decode() == window.conversation_id
        assert ids["turn_index"][row] == window.turn_index


def test_shapes_are_known_before_training(data):
    path, manifest = data
    windows, labels = training_dataset(path, manifest, batch_size=4, shuffle_buffer=5, seed=0, first_epoch=0,
                                       shown=[5]).element_spec
    assert windows["token_ids"].shape == (4, SLOTS, MAX_TOKENS)
    assert windows["turn_lengths"].shape == windows["turn_keys"].shape == (4, SLOTS)
    assert windows["numeric"].shape == (4, 2)
    assert labels.shape == (4, len(LABELS))


def test_an_epoch_shows_every_window_and_fills_up_the_last_batch(data):
    path, manifest = data
    windows = window_count(manifest, "train")
    everything = Counter(sum(window_keys(evaluation_dataset(path, manifest, "train", 64)), []))
    steps = steps_per_epoch(windows, 16)
    assert 0 < steps * 16 - windows < 16
    two_epochs = training(data, epochs=2)
    assert [len(batch) for batch in two_epochs] == [16] * (2 * steps)
    for epoch in (two_epochs[:steps], two_epochs[steps:]):
        shown = sum(epoch, [])
        assert Counter(shown[:windows]) == everything
        assert shown[windows:] == shown[:len(shown) - windows]


def test_a_batch_larger_than_the_data(data):
    windows = window_count(data[1], "train")
    [batch] = training(data, batch_size=windows + 5)
    assert batch[windows:] == batch[:5]


def test_the_order_of_an_epoch_follows_from_the_seed_and_its_number(data):
    steps = steps_per_epoch(window_count(data[1], "train"), 16)
    three = training(data, epochs=3)
    assert training(data, first_epoch=2, epochs=3) == three[2 * steps:]
    assert three[:steps] != three[steps:2 * steps]
    assert training(data, seed=4) != three[:steps]


def test_windows_of_a_conversation_stay_together(data):
    path, manifest = data
    conversation_of = {}
    for windows, labels, ids in evaluation_dataset(path, manifest, "train", 64, beside=IDS):
        [keys] = window_keys([(windows, labels)])
        conversation_of.update(zip(keys, ids["conversation_id"].numpy(), strict=True))
    shown = sum(training(data), [])[:window_count(manifest, "train")]
    order = [conversation_of[window] for window in shown]
    starts = [name for name, before in zip(order, [None, *order], strict=False) if name != before]
    # Windows that are equal in two conversations may be taken for the other's: few are.
    assert len(starts) <= len(set(order)) + 4
    assert starts != sorted(starts)


def test_a_good_directory_passes(data):
    verify_shards(*data)


def test_missing_additional_and_damaged_shards(tmp_path):
    manifest = small_data_directory(tmp_path / "data", transform=False)
    name = data_directory.shard_name("validation", 1, 2)
    shard = tmp_path / "data" / name
    content = shard.read_bytes()
    shard.unlink()
    with pytest.raises(DataRefused, match=f"{name} is missing"):
        verify_shards(tmp_path / "data", manifest)
    shard.write_bytes(content[:-9] + b"damaged!!")
    with pytest.raises(DataRefused, match=f"{name} is damaged"):
        verify_shards(tmp_path / "data", manifest)
    shard.write_bytes(content)
    (tmp_path / "data" / "train-00000-of-00003.tfrecord.gz").write_bytes(content)
    with pytest.raises(DataRefused, match="train-00000-of-00003.tfrecord.gz is not in the manifest"):
        verify_shards(tmp_path / "data", manifest)


@pytest.mark.parametrize("change", [-1, 1])
def test_more_or_fewer_records_than_the_manifest_says(tmp_path, change):
    manifest = write_data_directory(tmp_path / "data", {"train": make_windows(6, 1)}, shards=1, transform=False)
    [shard] = manifest.shards
    wrong = dataclasses.replace(manifest, shards=(dataclasses.replace(shard, records=shard.records + change),))
    with pytest.raises(DataRefused, match="can't read the shards of .*data"), refusing_bad_shards(tmp_path / "data"):
        training((tmp_path / "data", wrong))
    with pytest.raises(DataRefused), refusing_bad_shards(tmp_path / "data"):
        list(evaluation_dataset(tmp_path / "data", wrong, "train", 4))
    with pytest.raises(DataRefused), refusing_bad_shards(tmp_path / "data"):
        windows_shown(tmp_path / "data", wrong, Oversampling((1.0,) * len(LABELS), seed=1), 1)


def test_a_shard_that_is_cut_short(tmp_path):
    manifest = write_data_directory(tmp_path / "data", {"train": make_windows(6, 1)}, shards=1, transform=False)
    path = tmp_path / "data" / manifest.shards[0].name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataRefused), refusing_bad_shards(tmp_path / "data"):
        training((tmp_path / "data", manifest))


def test_a_long_conversation_is_cut_at_read_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.input_pipeline.READ_BATCH", 3)
    windows = [dataclasses.replace(window, conversation_id="one") for window in make_windows(5, 1)]
    manifest = write_data_directory(tmp_path / "data", {"train": windows}, shards=1, transform=False)
    shown = sum(training((tmp_path / "data", manifest), batch_size=1), [])
    assert Counter(shown) == Counter(sum(window_keys(evaluation_dataset(tmp_path / "data", manifest, "train", 9)), []))


def joined(two, three):
    """Batches of which one process has read two parts and another three."""
    return [sum(two[2 * step:2 * step + 2] + three[3 * step:3 * step + 3], []) for step in range(len(two) // 2)]


@pytest.mark.parametrize("batch_size", [16, 15])
def test_shares_make_up_the_batches(data, batch_size):
    path, manifest = data
    shares = [Share(range(0, 2), 5), Share(range(2, 5), 5)]
    whole = training(data, batch_size=15, epochs=2)
    parts = [training(data, batch_size=15, epochs=2, share=share) for share in shares]
    assert {len(part) for part in parts[0] + parts[1]} == {3}
    assert joined(*parts) == whole
    validated = [window_keys(evaluation_dataset(path, manifest, "validation", batch_size, share=share))
                 for share in shares]
    steps = steps_per_epoch(window_count(manifest, "validation"), batch_size)
    assert [len(parts) for parts in validated] == [2 * steps, 3 * steps]
    assert joined(*validated) == window_keys(evaluation_dataset(path, manifest, "validation", batch_size))


def test_factors_of_rare_labels():
    # sqrt(36 / 36), sqrt(36 / 4), sqrt(36 / 9); a label without windows has no say.
    counts = LabelCounts(100, (36, 4, 9, 0))
    assert Oversampling.of(counts, 10.0, seed=1).factors == (1.0, 3.0, 2.0, 6.0)
    assert Oversampling.of(counts, 2.5, seed=1).factors == (1.0, 2.5, 2.0, 2.5)


def copies_of(factors, labels, epochs, seed=1):
    rows = len(labels)
    return Oversampling(tuple(factors), seed).copies(
        tf.constant(labels, tf.int64), tf.constant([f"c{row % 7}" for row in range(rows)]),
        tf.range(rows, dtype=tf.int64), tf.range(epochs, dtype=tf.int64)).numpy()


def test_a_window_is_shown_as_often_as_its_rarest_label_wants():
    copies = copies_of([1.0, 3.0, 2.0], [[0, 0, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1]], epochs=2)
    assert copies.tolist() == [[1, 1], [1, 1], [3, 3], [2, 2]]


def test_a_part_of_a_copy_is_a_share_of_the_epochs_and_of_the_windows():
    copies = copies_of([1.3], [[1]] * 2000, epochs=20)
    assert set(np.unique(copies)) == {1, 2}
    # 20 epochs show each window 26 times, and an epoch 2000 windows 2600 times.
    assert np.all(np.abs(copies.sum(axis=1) - 26) <= 1)
    assert np.all(np.abs(copies.sum(axis=0) - 2600) < 60)
    assert np.any(copies[:, 0] != copies[:, 1])
    np.testing.assert_array_equal(copies, copies_of([1.3], [[1]] * 2000, epochs=20))
    assert np.any(copies != copies_of([1.3], [[1]] * 2000, epochs=20, seed=2))


def test_oversampled_epochs_show_every_copy_and_have_equal_steps(data):
    path, manifest = data
    oversampling = Oversampling((1.0, 1.4, 2.7, 1.0), seed=5)
    expected = [Counter() for _ in range(3)]
    for windows, labels, ids in evaluation_dataset(path, manifest, "train", 64, beside=IDS):
        [keys] = window_keys([(windows, labels)])
        copies = oversampling.copies(tf.cast(labels, tf.int64), ids["conversation_id"], ids["turn_index"],
                                     tf.range(3, dtype=tf.int64)).numpy()
        for row, key in enumerate(keys):
            for epoch in range(3):
                expected[epoch][key] += int(copies[row, epoch])
    shown = windows_shown(path, manifest, oversampling, 3)
    assert shown == [counter.total() for counter in expected]
    assert len(set(shown)) > 1 and min(shown) > window_count(manifest, "train")
    batches = training(data, epochs=3, oversampling=oversampling)
    steps = steps_per_epoch(max(shown), 16)
    assert [len(batch) for batch in batches] == [16] * 3 * steps
    for epoch, count in enumerate(shown):
        order = sum(batches[epoch * steps:(epoch + 1) * steps], [])
        assert Counter(order[:count]) == expected[epoch]
        assert order[count:] == order[:len(order) - count]
    assert training(data, first_epoch=2, epochs=3, oversampling=oversampling) == batches[2 * steps:]
