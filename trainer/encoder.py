"""What every encoder is."""

import keras


class Encoder(keras.layers.Layer):
    """What every encoder is: a size and an explicit mask. `units` is the size of a token's state."""

    # How much of a state, at its end, was read from the turn's end to its start.
    backward_dim = 0

    def __init__(self, units: int, **kwargs):
        """Makes the encoder."""
        super().__init__(**kwargs)
        self.units = units

    @property
    def output_dim(self) -> int:
        """Size of a token's state."""
        return self.units

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units}
