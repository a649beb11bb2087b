"""Recurrent layers over packed rows, for CPUs.

Keras' layers step through rows padded to the longest, and add to the weights' gradients at every step. Here there is no
padding, and what can be one multiplication over all steps is one.

**Packing.** The rows are sorted by length, the longest first. Step t reads a token of each row that is longer than t:
the first n_t rows. The tokens of all steps, one step after another, are the P = sum of n_t places.

**Forwards.** A cell takes its state s, one matrix [n_t, size] or more, through one stage or two. A stage multiplies
parts of the state by kernels, y = s W, and goes on number by number: s' = compute(x, y, s) with x_t, the tokens'
projections. What the state and the products were is kept.

**Backwards.** From the last stage of the last step to the first, with d for the gradient of the loss: autodiff of
compute takes ds' to dx, dy and ds, and ds += dy W^T. Afterwards dW, the sum of s^T dy over all steps, is one
multiplication over all places.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf


class Stage(NamedTuple):
    """A stage of a cell.

    Attributes:
        compute: (x [n, ...], list of products, list of the state's parts) -> list of the new state's parts.
        factors: for each product, which part of the state and which kernel.
    """

    compute: Callable
    factors: list[tuple[int, int]]


def _simple_rnn(x, products, state):
    """h' = tanh(x + h U)."""
    return [tf.tanh(x + products[0])]


def _gru(x, products, state):
    """h' = z h + (1 - z) tanh(x_n + r (h U_n + b)), gates z and r; x holds z, r, n and b side by side."""
    [y], [hidden] = products, state
    two = 2 * hidden.shape[1]
    z, r = tf.split(tf.sigmoid(x[:, :two] + y[:, :two]), 2, axis=1)
    x_new, bias = tf.split(x[:, two:], 2, axis=1)
    return [z * hidden + (1 - z) * tf.tanh(x_new + r * (y[:, two:] + bias))]


def _lstm(x, products, state):
    """c' = f c + i g, h' = o tanh(c'), with gates i, f, o and candidate g of x + h U, in the order i, f, g, o."""
    i, f, g, o = tf.split(x + products[0], 4, axis=1)
    memory = tf.sigmoid(f) * state[1] + tf.sigmoid(i) * tf.tanh(g)
    return [tf.sigmoid(o) * tf.tanh(memory), memory]


def _peephole_memory(x, products, state):
    """c' = f c + i g, where i and f see c (P_i, P_f); gives the output gate's sum so far in the place of h."""
    i, f, g, o = tf.split(x + products[0], 4, axis=1)
    seen_i, seen_f = tf.split(products[1], 2, axis=1)
    return [o, tf.sigmoid(f + seen_f) * state[1] + tf.sigmoid(i + seen_i) * tf.tanh(g)]


def _peephole_output(x, products, state):
    """h' = o tanh(c'), where o sees c' P_o."""
    return [tf.sigmoid(state[0] + products[0]) * tf.tanh(state[1]), state[1]]


# Sources: the seed facts (3.8); the GRU is Keras', which resets after the product.
SIMPLE_RNN = [Stage(_simple_rnn, [(0, 0)])]
GRU = [Stage(_gru, [(0, 0)])]
LSTM = [Stage(_lstm, [(0, 0)])]
PEEPHOLE_LSTM = [Stage(_peephole_memory, [(0, 0), (1, 1)]), Stage(_peephole_output, [(1, 2)])]


class Packing:
    """Where the tokens of padded rows lie when packed; see the module.

    Attributes:
        counts: int32 [steps], the rows n_t of each step.
        starts: int32 [steps], the place where each step begins.
        source: int32 [P], the place of each packed token among the padded rows, one after another.
        mirror: int32 [P], for each token, the place of the one as far from its row's end as it is from the start.
    """

    def __init__(self, lengths, size):
        """Packs rows of `lengths`, int32 [N], padded to `size` tokens; of an empty row, one of padding."""
        lengths = tf.maximum(lengths, 1)
        order = tf.argsort(lengths, direction="DESCENDING", stable=True)
        ranked = tf.gather(lengths, order)
        present = tf.range(ranked[0])[:, None] < ranked
        step, rank = tf.unstack(tf.cast(tf.where(present), tf.int32), axis=1)
        self.counts = tf.reduce_sum(tf.cast(present, tf.int32), axis=1)
        self.starts = tf.cumsum(self.counts, exclusive=True)
        self.source = tf.gather(order, rank) * size + step
        self.mirror = tf.gather(self.starts, tf.gather(ranked, rank) - 1 - step) + rank

    def places(self, t):
        """The places of step t."""
        return slice(self.starts[t], self.starts[t] + self.counts[t])

    def unpack(self, packed, rows, size):
        """Padded values [rows, size, D], zeros at padding, of packed ones [P, D]."""
        # Not a gather: its gradient would add up what comes back to all the padding.
        flat = tf.scatter_nd(self.source[:, None], packed, [rows * size, packed.shape[1]])
        return tf.reshape(flat, [rows, size, packed.shape[1]])


def recur(cell: Sequence[Stage], parts: int, x, kernels: Sequence, packing: Packing):
    """Runs a cell over packed rows, from a state of zeros.

    Args:
        cell: its stages.
        parts: how many matrices the state is; the first is what the cell puts out.
        x: [P, ...], the tokens' projections.
        kernels: the kernels of all stages, [units, ...] each.
        packing: of the rows.

    Returns:
        [P, units], what the cell put out at each place.
    """

    @tf.custom_gradient
    def run(x, *kernels):
        outputs, kept = _forwards(cell, parts, x, kernels, packing)

        def gradient(given):
            return _backwards(cell, parts, x, kernels, packing, kept, tf.convert_to_tensor(given))

        return outputs, gradient

    # Tensors, not variables: `run` must be given all that it has a gradient for.
    return run(x, *(tf.convert_to_tensor(kernel) for kernel in kernels))


def _forwards(cell, parts, x, kernels, packing):
    """What the cell put out, [P, units], and what is kept: for each stage its state and products, [P, ...] each."""
    steps, units = tf.size(packing.counts), kernels[0].shape[0]

    def step(t, state, outputs, kept):
        here, state, found = packing.places(t), [part[:packing.counts[t]] for part in state], []
        for stage in cell:
            products = [state[part] @ kernels[k] for part, k in stage.factors]
            found.append([state, products])
            state = stage.compute(x[here], products, state)
        return t + 1, state, outputs.write(t, state[0]), _write(kept, t, found)

    kept = [[[_array(steps, x.dtype, units) for _ in range(parts)],
             [_array(steps, x.dtype, kernels[k].shape[1]) for _, k in stage.factors]] for stage in cell]
    outputs = _array(steps, x.dtype, units)
    state = [tf.zeros([packing.counts[0], units], x.dtype)] * parts
    _, _, outputs, kept = _loop(lambda t: t < steps, step, [0, state, outputs, kept])
    return outputs.concat(), tf.nest.map_structure(lambda array: array.concat(), kept)


def _backwards(cell, parts, x, kernels, packing, kept, given):
    """The gradients of `x` and the kernels, from that of what the cell put out, `given` [P, units]."""
    steps, units = tf.size(packing.counts), kernels[0].shape[0]

    def step(t, d_state, d_x, d_products):
        here, rows = packing.places(t), packing.counts[t]
        # Rows that end at this step join those that go on.
        d_state = [tf.pad(part, [[0, rows - tf.shape(part)[0]], [0, 0]]) for part in d_state]
        d_state[0] += given[here]
        d_here, found = tf.zeros_like(x[here]), []
        for stage, (state, products) in zip(reversed(cell), reversed(kept), strict=True):
            with tf.GradientTape() as tape:
                read = [x[here], [product[here] for product in products], [part[here] for part in state]]
                tape.watch(read)
                after = stage.compute(*read)
            d_read, d_made, d_state = tape.gradient(after, read, d_state, unconnected_gradients="zero")
            for (part, k), d_product in zip(stage.factors, d_made, strict=True):
                d_state[part] += tf.matmul(d_product, kernels[k], transpose_b=True)
            d_here += d_read
            found = d_made + found
        return t - 1, d_state, d_x.write(t, d_here), _write(d_products, t, found)

    factors = [(state[part], k) for stage, (state, _) in zip(cell, kept, strict=True) for part, k in stage.factors]
    d_products = [_array(steps, x.dtype, kernels[k].shape[1]) for _, k in factors]
    d_state = [tf.zeros([0, units], x.dtype)] * parts
    _, _, d_x, d_products = _loop(lambda t: t >= 0, step,
                                  [steps - 1, d_state, _array(steps, x.dtype, x.shape[1]), d_products])
    d_kernels = [tf.matmul(factor, d_product.concat(), transpose_a=True)
                 for (factor, _), d_product in zip(factors, d_products, strict=True)]
    return d_x.concat(), *d_kernels


def _loop(goes_on, step, values):
    """A loop over steps, of a step's number, a state whose rows change in number, and arrays."""
    _, state, *arrays = values
    shapes = [tf.TensorShape([None, part.shape[1]]) for part in state]
    unknown = tf.nest.map_structure(lambda _: tf.TensorShape(None), arrays)
    return tf.while_loop(lambda t, *_: goes_on(t), step, values, [tf.TensorShape([]), shapes, *unknown])


def _array(steps, dtype, size):
    """An array of a matrix [n_t, size] for each step."""
    return tf.TensorArray(dtype, steps, element_shape=[None, size], infer_shape=False)


def _write(arrays, t, values):
    """The arrays with a step's values, of the same structure."""
    return tf.nest.map_structure(lambda array, value: array.write(t, value), arrays, values)
