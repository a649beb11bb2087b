"""A SavedModel of this product, called through its signatures alone, as any client of it would."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from schemas import model_directory
from schemas.exit_status import UsageError

FILE = "saved_model.pb"


@dataclasses.dataclass(frozen=True)
class SavedIntentClassifier:
    """A loaded SavedModel.

    Attributes:
        path: where it was.
        labels: names of its K labels.
        thresholds: the score from which on each is said, float32 [K].
        slots: turns of a window.
        numeric: number of scalars.
        serve: the signature `serving_default`.
    """

    path: pathlib.Path
    labels: list[str]
    thresholds: np.ndarray
    slots: int
    numeric: int
    serve: Callable

    def __call__(self, texts, speakers, numeric) -> dict[str, np.ndarray]:
        """`scores`, `predicted`, `attention` and `gate` of texts and speakers [B, slots] and raw scalars [B, F]."""
        outputs = self.serve(texts=tf.constant(texts, tf.string), speakers=tf.constant(speakers, tf.string),
                             numeric=tf.constant(numeric, tf.float32))
        return {name: value.numpy() for name, value in outputs.items()}

    def require_sizes(self, slots: int, numeric: int, data: object) -> None:
        """Raises a UsageError unless it takes windows of so many slots and scalars, which are those of `data`."""
        if (self.slots, self.numeric) != (slots, numeric):
            raise UsageError(f"{self.path} takes windows of {self.slots} slots and {self.numeric} scalars, but those "
                             f"of {data} have {slots} and {numeric}")


def load_saved_model(path: str | pathlib.Path) -> SavedIntentClassifier:
    """Loads a SavedModel directory, or the one inside a model directory.

    Raises:
        UsageError: when it can't be loaded, or is none of this product.
    """
    given = pathlib.Path(path)
    found = given if (given / FILE).is_file() else given / model_directory.SAVED_MODEL
    try:
        loaded = tf.saved_model.load(str(found))
        serve = loaded.signatures["serving_default"]
        known = loaded.signatures[model_directory.LABELS_SIGNATURE]()
        inputs = serve.structured_input_signature[1]
        names = [label.decode("utf-8") for label in known["labels"].numpy()]
        model = SavedIntentClassifier(found, names, known["thresholds"].numpy(), inputs["texts"].shape[1],
                                      inputs["numeric"].shape[1], serve)
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise UsageError(f"can't load the SavedModel {found}: {error}") from error
    # What holds the variables must live as long as the signature.
    object.__setattr__(model, "_loaded", loaded)
    return model
