"""Which split a conversation lies in."""

import numpy as np
import pyarrow as pa

from pipeline.buckets import hash_strings
from schemas.data_directory import SPLITS


def split_of(conversation_ids: pa.Array, weights: dict[str, int], seed: int) -> np.ndarray:
    """The split of each conversation, by a salted hash of its id alone.

    Args:
        conversation_ids: strings.
        weights: {split: weight}.
        seed: salts the hash.

    Returns:
        Indices into `SPLITS`, int8.
    """
    ends = np.cumsum([weights[split] for split in SPLITS]).astype(np.uint64)
    hashes = hash_strings(conversation_ids, seed.to_bytes(8, "little", signed=True) + b"split")
    return np.searchsorted(ends, hashes % ends[-1], side="right").astype(np.int8)
