"""The tf.Transform graph of a single turn: text to token ids, scalars to z-scores.

It is learnt from what the data job has counted already: one row a distinct token, not one a token. The same graph lies
in the exported SavedModel.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils
from tfx_bsl.tfxio import tensor_adapter, tf_example_record

from pipeline.text import tokenize
from schemas.examples import PADDING_ID

VOCABULARY_NAME = "tokens"


def raw_metadata(numeric: int) -> dataset_metadata.DatasetMetadata:
    """The schema of the graph's inputs, for so many scalars.

    `text` and `numeric` are those of a turn. `token` and `token_count` (a distinct token and how often it occurs), and
    `numeric_moments` (means, then scales of the scalars; equal in all rows), are for the analysis alone: their values
    don't matter later.
    """
    spec = {
        "text": tf.io.FixedLenFeature([], tf.string),
        "token": tf.io.FixedLenFeature([], tf.string),
        "token_count": tf.io.FixedLenFeature([], tf.int64),
        "numeric": tf.io.FixedLenFeature([numeric], tf.float32),
        "numeric_moments": tf.io.FixedLenFeature([2 * numeric], tf.float32),
    }
    return dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))


def preprocessing(tokenizer: str, max_tokens: int) -> Callable[[dict], dict]:
    """The `preprocessing_fn`.

    Args:
        tokenizer: a key of `TOKENIZERS`.
        max_tokens: the most tokens of a turn.

    Returns:
        A function of the inputs of `raw_metadata` that gives `token_ids` int64 [B, max_tokens], padded with
        `PADDING_ID`, and `numeric` float32 [B, F], z-scored, 0 where it is missing (NaN).
    """

    def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        counts = tf.cast(inputs["token_count"], tf.float32)
        vocabulary = tft.vocabulary(inputs["token"], weights=counts, vocab_filename=VOCABULARY_NAME)
        tokens = tokenize(inputs["text"], tokenizer, max_tokens)
        ids = tft.apply_vocabulary(tokens, vocabulary, num_oov_buckets=1) + 1
        # All rows hold the same values: their maximum is exact, where a mean would depend on how rows are batched.
        mean, scale = tf.split(tft.max(inputs["numeric_moments"], reduce_instance_dims=False), 2)
        scaled = (inputs["numeric"] - mean) / scale
        return {
            "token_ids": ids.to_tensor(PADDING_ID, shape=[None, max_tokens]),
            "numeric": tf.where(tf.math.is_nan(scaled), tf.zeros_like(scaled), scaled),
        }

    return preprocessing_fn


def analysis_rows(vocabulary: pa.Table, mean: np.ndarray, scale: np.ndarray) -> pa.RecordBatch:
    """The rows to analyse: one a distinct token.

    Args:
        vocabulary: columns `token` and `count`; may be empty.
        mean, scale: of the scalars, float32 [F].
    """
    if not vocabulary.num_rows:
        # tf.Transform can't analyse nothing; a token that holds a line end never gets into a vocabulary.
        vocabulary = pa.table({"token": ["\n"], "count": [1]})
    rows = vocabulary.num_rows

    def lists(values: np.ndarray | pa.Array, size: int) -> pa.LargeListArray:
        return pa.LargeListArray.from_arrays(np.arange(rows + 1) * size, values)

    columns = pa.record_batch(
        {
            "text": lists(pa.array([b""] * rows), 1),
            "token": lists(vocabulary["token"].combine_chunks().cast(pa.binary()), 1),
            "token_count": lists(vocabulary["count"].combine_chunks(), 1),
            "numeric": lists(np.zeros(rows * len(mean), np.float32), len(mean)),
            "numeric_moments": lists(np.tile(np.concatenate([mean, scale]), rows), 2 * len(mean)),
        }
    )
    wanted = adapter_config(len(mean)).arrow_schema
    return columns.select(wanted.names).cast(wanted)


def adapter_config(numeric: int) -> tensor_adapter.TensorAdapterConfig:
    """How tf.Transform takes the columns of `analysis_rows`."""
    schema = raw_metadata(numeric).schema
    return tf_example_record.TFExampleBeamRecord(physical_format="inmem", schema=schema).TensorAdapterConfig()


def z_score(values: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The scalars as the graph gives them, float32 [N, F]; NaN is missing and becomes 0."""
    scaled = (values.astype(np.float32) - mean) / scale
    return np.where(np.isnan(scaled), np.float32(0), scaled)
