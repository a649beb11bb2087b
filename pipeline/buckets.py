"""Hash buckets: all turns of a conversation go to one, so that a bucket can be worked on as a whole."""

import hashlib

import numpy as np
import pyarrow as pa

from pipeline.turns import to_ipc

CONVERSATION_HASH = "conversation_hash"
# A bucket is held and worked on as a whole.
BUCKET_BYTES = 16 << 20
FEWEST_BUCKETS = 8
MOST_BUCKETS = 4096


def bucket_count(input_bytes: int) -> int:
    """How many buckets an input of so many bytes makes: its shards too, so it depends on the input alone."""
    return min(max(FEWEST_BUCKETS, -(-input_bytes // BUCKET_BYTES)), MOST_BUCKETS)


def hash_strings(strings: pa.Array, salt: bytes) -> np.ndarray:
    """A 64-bit BLAKE2b hash of each string, uint64; the same on every machine."""
    encoded = strings.dictionary_encode()
    digests = b"".join(
        hashlib.blake2b(value.as_buffer(), digest_size=8, salt=salt).digest() for value in encoded.dictionary
    )
    return np.frombuffer(digests, "<u8")[encoded.indices.to_numpy()]


def partition(turns: pa.Table, buckets: int) -> list[tuple[int, bytes]]:
    """Splits turns by the hash of their conversation.

    Args:
        turns: in `turn_schema`.
        buckets: how many there are.

    Returns:
        (bucket, its turns with their `conversation_hash` as IPC bytes), one for each bucket that gets any.
    """
    if not turns.num_rows:
        return []
    batch = turns.combine_chunks().to_batches()[0]
    hashes = hash_strings(batch.column("conversation_id"), b"conversation")
    bucket = (hashes % np.uint64(buckets)).astype(np.int64)
    order = np.argsort(bucket, kind="stable")
    batch = batch.append_column(CONVERSATION_HASH, pa.array(hashes)).take(pa.array(order))
    present, starts = np.unique(bucket[order], return_index=True)
    ends = np.append(starts[1:], batch.num_rows)
    return [
        (int(number), to_ipc(batch.slice(start, end - start)))
        for number, start, end in zip(present, starts, ends, strict=True)
    ]
