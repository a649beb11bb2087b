"""Finds the distinct turns of a batch, so that each is encoded once.

Neighbouring windows share all turns but one, and people say "yes, thanks" a lot: a batch holds several times fewer
distinct turns than slots. Encoding those and gathering gives the outputs and gradients of encoding every slot.
"""

import dataclasses

import tensorflow as tf

from trainer.recurrent_encoders import RecurrentEncoder

# Where the groups of turns, sorted by length, end: most turns are short, a few are several times as long.
GROUP_ENDS = (0.5, 0.8, 0.95)
# The same for encoders that read no padding: two groups of about equal work, for cores to read side by side.
PACKED_GROUP_ENDS = (0.75,)


@dataclasses.dataclass(frozen=True)
class DistinctTurns:
    """The distinct turns of a batch.

    Attributes:
        token_ids: int32 [N, L], a row a distinct turn, padded on the right with 0.
        lengths: int32 [N], their tokens; 0 for the empty turn.
        positions: int32 [B, S], the row of each slot's turn.
    """

    token_ids: tf.Tensor
    lengths: tf.Tensor
    positions: tf.Tensor


def distinct_turns(token_ids, turn_lengths, turn_keys) -> DistinctTurns:
    """Finds the distinct turns of a batch, in the order in which they first appear.

    Args:
        token_ids: int32 [B, S, L], padded on the right with 0.
        turn_lengths: int [B, S], tokens of each slot.
        turn_keys: int64 [B, S], equal for equal turns; 0 for an empty slot.
    """
    keys, positions = tf.unique(tf.reshape(turn_keys, [-1]))
    first = tf.math.unsorted_segment_min(tf.range(tf.size(positions)), positions, tf.size(keys))
    ids = tf.gather(tf.reshape(token_ids, [-1, tf.shape(token_ids)[2]]), first)
    lengths = tf.cast(tf.gather(tf.reshape(turn_lengths, [-1]), first), tf.int32)
    return DistinctTurns(ids, lengths, tf.reshape(positions, tf.shape(turn_keys)))


def encode_by_length(encoder, token_ids, lengths, training=None):
    """Encodes turns, without most of their padding where the encoder does not read it.

    The turns are sorted by length and encoded in groups, each cut to its own longest turn: on a CPU, time goes by
    positions. On a GPU it goes by steps, and one group has the fewest.

    Args:
        encoder: of the family `encoders`.
        token_ids: int32 [N, L], padded on the right with 0.
        lengths: int32 [N], tokens of each turn.
        training: whether dropout is active.

    Returns:
        float32 [N, D], in the order of the turns.
    """
    # An empty turn goes with every group and is dropped again: a layer may not take a group without rows.
    token_ids, lengths = tf.pad(token_ids, [[1, 0], [0, 0]]), tf.pad(lengths, [[1, 0]])
    if not encoder.mask_padding:
        return encoder(token_ids, lengths, training=training)[1:]
    order = tf.argsort(lengths[1:], stable=True)
    count = tf.cast(tf.size(order), tf.float32)
    ends = [tf.cast(count * share, tf.int32) for share in _group_ends(encoder)] + [tf.size(order)]
    filled = tf.maximum(tf.math.count_nonzero(lengths, dtype=tf.float32), 1.0)
    encoded = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        rows = tf.concat([[0], 1 + order[start:end]], 0)
        group = tf.gather(lengths, rows)
        # Nor one without positions.
        longest = tf.maximum(tf.reduce_max(group), 1)
        share = tf.math.count_nonzero(group, dtype=tf.float32) / filled
        encoded.append(encoder(tf.gather(token_ids, rows)[:, :longest], group, share=share, training=training)[1:])
    return tf.gather(tf.concat(encoded, 0), tf.argsort(order))


def _group_ends(encoder) -> tuple[float, ...]:
    """Which shares of the turns the groups but the last end at."""
    if tf.config.list_logical_devices("GPU"):
        return ()
    return PACKED_GROUP_ENDS if isinstance(encoder.reader, RecurrentEncoder) else GROUP_ENDS
