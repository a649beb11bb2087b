"""The features of one window in the TFRecord shards.

Writer, reader, `inspect` and the README's table all derive from `EXAMPLE_FEATURES`.
"""

import dataclasses

PADDING_ID = 0
EMPTY_SLOT_KEY = 0
EMPTY_SPEAKER_ID = 0
UNKNOWN_SPEAKER_ID = 1
FIRST_SPEAKER_ID = 2


@dataclasses.dataclass(frozen=True)
class Feature:
    """One feature of a `tf.train.Example`.

    Attributes:
        name: the key in the Example.
        dtype: `int64`, `float32` or `bytes`.
        shape: sizes by name (`slots`, `numeric`, `labels`, see `WindowSizes`); `()` is one value, None any number.
        meaning: what it holds.
    """

    name: str
    dtype: str
    shape: tuple[str, ...] | None
    meaning: str


EXAMPLE_FEATURES = (
    Feature(
        "token_ids",
        "int64",
        None,
        "ids of all slots, one slot after another; 1 to vocabulary size, the last one is out-of-vocabulary",
    ),
    Feature("turn_lengths", "int64", ("slots",), "tokens of each slot; 0 is an empty slot"),
    Feature("turn_keys", "int64", ("slots",), "64-bit hash, equal for equal token ids; 0 is an empty slot"),
    Feature(
        "speakers", "int64", ("slots",), "0 is an empty slot, 1 a speaker unseen in training, 2 and up the manifest's"
    ),
    Feature("numeric", "float32", ("numeric",), "z-scored scalars of the current turn; a missing value is 0"),
    Feature("raw_numeric", "float32", ("numeric",), "the same scalars as the log has them; NaN is missing"),
    Feature("labels", "int64", ("labels",), "multi-hot labels of the current turn, in the order of labels.json"),
    Feature("texts", "bytes", ("slots",), 'the words of each slot as the log has them, UTF-8; "" is an empty slot'),
    Feature("conversation_id", "bytes", (), "the conversation, UTF-8"),
    Feature("turn_index", "int64", (), "the current turn's place in its conversation"),
)


@dataclasses.dataclass(frozen=True)
class WindowSizes:
    """The sizes that `Feature.shape` names.

    Attributes:
        slots: the current turn and its history, 1 + history turns.
        numeric: number of scalars.
        labels: number of labels.
    """

    slots: int
    numeric: int
    labels: int

    def of(self, feature: Feature) -> list[int] | None:
        """The feature's shape in numbers; None where it varies."""
        return None if feature.shape is None else [getattr(self, name) for name in feature.shape]


def parsing_spec(sizes: WindowSizes, names: tuple[str, ...] | None = None) -> dict:
    """What `tf.io.parse_example` needs to read windows.

    Args:
        sizes: of the data directory.
        names: the features wanted; None for all.

    Returns:
        {name: FixedLenFeature, or RaggedFeature for the features of varying length}.
    """
    import tensorflow as tf

    dtypes = {"int64": tf.int64, "float32": tf.float32, "bytes": tf.string}
    spec = {}
    for feature in EXAMPLE_FEATURES:
        if names is not None and feature.name not in names:
            continue
        shape, dtype = sizes.of(feature), dtypes[feature.dtype]
        spec[feature.name] = (
            tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
            if shape is None
            else tf.io.FixedLenFeature(shape, dtype)
        )
    return spec
