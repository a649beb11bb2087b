"""Normalizations of the features that go into the head."""

import keras

NORMALIZATIONS = {
    "none": keras.layers.Identity,
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
}
