"""From the shards of a data directory to batches of windows.

A window is a dict of `token_ids` int32 [B, slots, max_tokens] padded on the right with 0, `turn_lengths` int32
[B, slots], `turn_keys` int64 [B, slots], `speakers` int32 [B, slots] and `numeric` float32 [B, F]; its target is
`labels` float32 [B, K].
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence

import tensorflow as tf

from schemas.data_directory import SPLITS, Manifest, sha256_of
from schemas.examples import PADDING_ID, parsing_spec
from schemas.exit_status import DataRefused
from trainer.oversampling import Oversampling

COMPRESSION = "GZIP"
# Windows read at a time. A conversation that lies on both sides of a cut is shuffled as two.
READ_BATCH = 1024
SHARDS_AT_ONCE = 8
MODEL_FEATURES = ("token_ids", "turn_lengths", "turn_keys", "speakers", "numeric")
# One of these TensorFlow names when reading fails.
READING_OPERATIONS = ("IteratorGetNext", "ReduceDataset")
OVERSAMPLING_FEATURES = ("labels", "conversation_id", "turn_index")


@dataclasses.dataclass(frozen=True)
class Share:
    """Which parts of each batch a process reads, one after the other.

    Attributes:
        parts: numbers of the parts, one a device of the process.
        of: number of parts that a batch is cut into, as equal as can be; 1 for the whole batch.
    """

    parts: range = range(1)
    of: int = 1

    def take(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The parts of batches of serialized windows, string [B]."""
        if self.of == 1:
            return batches
        return batches.flat_map(lambda batch: tf.data.Dataset.range(self.parts.start, self.parts.stop).map(
            lambda part: self._part(batch, part)))

    def _part(self, batch, part):
        """One part of a batch."""
        rows = tf.size(batch, tf.int64)
        taken = batch[part * rows // self.of:(part + 1) * rows // self.of]
        return taken if batch.shape[0] is None else tf.ensure_shape(taken, [batch.shape[0] // self.of])


def verify_shards(data_dir: str | pathlib.Path, manifest: Manifest) -> None:
    """Checks that the shards are the manifest's, no more and no fewer, and undamaged.

    Raises:
        DataRefused: naming the shard.
    """
    path = pathlib.Path(data_dir)
    found = {file.name for split in SPLITS for file in path.glob(f"{split}-*.tfrecord*")}
    expected = {shard.name: shard for shard in manifest.shards}
    for name in sorted(set(expected) - found):
        raise DataRefused(f"{path / name} is missing, but the manifest lists it: run `prepare` again")
    for name in sorted(found - set(expected)):
        raise DataRefused(f"{path / name} is not in the manifest: remove it, or run `prepare` again")
    for name, shard in sorted(expected.items()):
        if sha256_of(path / name) != shard.sha256:
            raise DataRefused(f"{path / name} is damaged: its sha256 is not the manifest's; run `prepare` again")


def window_count(manifest: Manifest, split: str) -> int:
    """Number of windows of a split."""
    return sum(shard.records for shard in manifest.shards_of(split))


def steps_per_epoch(windows: int, batch_size: int) -> int:
    """Batches that show every window at least once; the last one is filled up from the start of the epoch's order."""
    return -(-windows // batch_size)


def windows_shown(data_dir: str | pathlib.Path, manifest: Manifest, oversampling: Oversampling | None,
                  epochs: int) -> list[int]:
    """Number of windows that each epoch shows, copies included; with `oversampling`, it reads the train split once."""
    windows = window_count(manifest, "train")
    if oversampling is None:
        return [windows] * epochs
    records = tf.data.TFRecordDataset(_files(data_dir, manifest, "train"), COMPRESSION)
    counted = records.apply(tf.data.experimental.assert_cardinality(windows)).batch(READ_BATCH)
    numbers, copies = tf.range(epochs, dtype=tf.int64), _copies(manifest, oversampling)
    sums = counted.map(lambda batch: tf.reduce_sum(copies(batch, numbers), axis=0), num_parallel_calls=tf.data.AUTOTUNE)
    return sums.reduce(tf.zeros(epochs, tf.int64), tf.add).numpy().tolist()


def training_dataset(data_dir: str | pathlib.Path, manifest: Manifest, *, batch_size: int, shuffle_buffer: int,
                     seed: int, first_epoch: int, shown: Sequence[int], oversampling: Oversampling | None = None,
                     share: Share = Share()) -> tf.data.Dataset:
    """Batches of (windows, labels) for the epochs from `first_epoch` on, all of the same size and equally many.

    The order of an epoch follows from the seed and its number alone. Conversations are shuffled, not windows: those of
    one conversation stay together, and share most of their turns.

    Args:
        data_dir: the data directory.
        manifest: of the data directory.
        batch_size: windows a batch.
        shuffle_buffer: conversations shuffled at a time.
        seed: of the order.
        first_epoch: number of the first epoch, from 0.
        shown: what `windows_shown` says of all epochs, from number 0.
        oversampling: which windows are shown more than once.
        share: the parts of each batch to give, as batches of their own.
    """
    files = _files(data_dir, manifest, "train")
    taken = steps_per_epoch(max(shown), batch_size) * batch_size

    def one_epoch(epoch):
        order = tf.random.experimental.stateless_shuffle(files, seed=tf.stack([tf.cast(seed, tf.int64), epoch]))
        conversations = tf.data.Dataset.from_tensor_slices(order).interleave(
            _conversations, cycle_length=min(SHARDS_AT_ONCE, len(files)), block_length=1,
            num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        # A seed of its own for each epoch; consecutive numbers give unrelated orders.
        shuffled = conversations.shuffle(shuffle_buffer, seed=seed + epoch, reshuffle_each_iteration=False)
        if oversampling:
            copies = _copies(manifest, oversampling)
            shuffled = shuffled.map(lambda records: tf.repeat(records, copies(records, epoch[None])[:, 0]),
                                    num_parallel_calls=tf.data.AUTOTUNE)
        counted = shuffled.unbatch().apply(tf.data.experimental.assert_cardinality(tf.constant(shown, tf.int64)[epoch]))
        return counted.repeat().take(taken)

    batches = tf.data.Dataset.range(first_epoch, len(shown)).flat_map(one_epoch).batch(batch_size, drop_remainder=True)
    return _with_options(share.take(batches).map(_parser(manifest), num_parallel_calls=tf.data.AUTOTUNE))


def evaluation_dataset(data_dir: str | pathlib.Path, manifest: Manifest, split: str, batch_size: int, *,
                       beside: tuple[str, ...] = (), share: Share = Share()) -> tf.data.Dataset:
    """Batches of (windows, labels) in the shards' order; the last batch holds what is left, a part of it maybe nothing.

    With `beside`, batches of (windows, labels, {name: the feature as in the shards, for each name in `beside`}).
    """
    records = tf.data.TFRecordDataset(_files(data_dir, manifest, split), COMPRESSION)
    counted = records.apply(tf.data.experimental.assert_cardinality(window_count(manifest, split)))
    parser = _parser(manifest, beside)
    return _with_options(share.take(counted.batch(batch_size)).map(parser, num_parallel_calls=tf.data.AUTOTUNE))


@contextlib.contextmanager
def refusing_bad_shards(data_dir: str | pathlib.Path):
    """Turns what tf.data says of a damaged shard, or of one with too many or too few records, into a DataRefused."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.FailedPreconditionError, tf.errors.NotFoundError,
            tf.errors.InvalidArgumentError) as error:
        if not any(operation in error.message for operation in READING_OPERATIONS):
            # Raised by the network, not by what feeds it.
            raise
        # A graph's message has a trace before what went wrong, and nodes behind it.
        lines = [line for line in error.message.splitlines() if line.strip() and not line.lstrip().startswith("[[")]
        raise DataRefused(f"can't read the shards of {data_dir}: {lines[-1]}") from error


def _files(data_dir, manifest: Manifest, split: str) -> list[str]:
    """Paths of a split's shards, in order."""
    return [str(pathlib.Path(data_dir) / shard.name) for shard in manifest.shards_of(split)]


def _conversations(file) -> tf.data.Dataset:
    """The serialized windows of one shard, a string vector a conversation."""
    records = tf.data.TFRecordDataset(file, COMPRESSION).batch(READ_BATCH)
    return records.map(_by_conversation).unbatch()


def _by_conversation(records):
    """Splits serialized windows, string [N], where the conversation changes: ragged string [conversations, None]."""
    ids = tf.io.parse_example(records, {"conversation_id": tf.io.FixedLenFeature([], tf.string)})["conversation_id"]
    starts = tf.concat([[0], tf.where(ids[1:] != ids[:-1])[:, 0] + 1], 0)
    return tf.RaggedTensor.from_row_starts(records, starts)


def _copies(manifest: Manifest, oversampling: Oversampling):
    """A function from serialized windows, string [B], and epochs, int64 [epochs], to copies, int64 [B, epochs]."""
    spec = parsing_spec(manifest.sizes, OVERSAMPLING_FEATURES)

    def copies(records, epochs):
        parsed = tf.io.parse_example(records, spec)
        return oversampling.copies(*(parsed[name] for name in OVERSAMPLING_FEATURES), epochs)

    return copies


def _parser(manifest: Manifest, beside: tuple[str, ...] = ()):
    """A function from serialized windows, string [B], to what the datasets of this module give."""
    sizes = manifest.sizes
    spec = parsing_spec(sizes, (*MODEL_FEATURES, "labels", *beside))

    def parse(records):
        parsed = tf.io.parse_example(records, spec)
        windows = {
            "token_ids": _by_slot(parsed["token_ids"], parsed["turn_lengths"], sizes.slots, manifest.max_tokens),
            "turn_lengths": tf.cast(parsed["turn_lengths"], tf.int32),
            "turn_keys": parsed["turn_keys"],
            "speakers": tf.cast(parsed["speakers"], tf.int32),
            "numeric": parsed["numeric"],
        }
        labels = tf.cast(parsed["labels"], tf.float32)
        return (windows, labels, {name: parsed[name] for name in beside}) if beside else (windows, labels)

    return parse


def _by_slot(token_ids: tf.RaggedTensor, turn_lengths: tf.Tensor, slots: int, max_tokens: int) -> tf.Tensor:
    """Token ids of each slot, int32 [B, slots, max_tokens], of the flat ids of each window."""
    turns = tf.RaggedTensor.from_row_lengths(tf.cast(token_ids.values, tf.int32), tf.reshape(turn_lengths, [-1]))
    return tf.reshape(turns.to_tensor(PADDING_ID, shape=[None, max_tokens]), [-1, slots, max_tokens])


def _with_options(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset with prefetching, a fixed order, and whole batches for the strategy to split by itself."""
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
