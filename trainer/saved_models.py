"""A SavedModel of this product, called through its signature alone, as any client of it would."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from schemas.data_directory import Manifest
from schemas.exit_status import UsageError
from schemas.model_description import ASSET, ModelDescription
from schemas.model_directory import SAVED_MODEL, SAVED_MODEL_FILE


@dataclasses.dataclass(frozen=True)
class SavedIntentClassifier:
    """A loaded SavedModel.

    Attributes:
        path: where it was.
        description: what it says of itself.
        loaded: what holds its variables.
        serve: its signature `serving_default`.
    """

    path: pathlib.Path
    description: ModelDescription
    loaded: object
    serve: Callable

    def __call__(self, texts, speakers, numeric) -> dict[str, np.ndarray]:
        """`scores`, `predicted`, `attention` and `gate` of texts and speakers [B, slots] and raw scalars [B, F]."""
        outputs = self.serve(texts=tf.constant(texts, tf.string), speakers=tf.constant(speakers, tf.string),
                             numeric=tf.constant(numeric, tf.float32))
        return {name: value.numpy() for name, value in outputs.items()}

    def require_windows_of(self, manifest: Manifest) -> None:
        """Raises a UsageError unless it takes the windows of a data directory: their slots, history and scalars."""
        description = self.description
        taken = (description.slots, description.history, description.numeric_features)
        given = (manifest.sizes.slots, manifest.history, manifest.numeric_features)
        if taken != given:
            wants, has = (f"{slots} slots, history of {history} and the scalars {', '.join(scalars)}"
                          for slots, history, scalars in (taken, given))
            raise UsageError(f"{self.path} takes windows with {wants}; those of the data directory have {has}")


def load_saved_model(path: str | pathlib.Path) -> SavedIntentClassifier:
    """Loads a SavedModel directory, or the one inside a model directory.

    Raises:
        UsageError: when it can't be loaded, or is none of this product.
    """
    # A link, such as `current` of a serving directory, may be moved to another model while this one is loaded.
    given = pathlib.Path(path).resolve() if pathlib.Path(path).is_symlink() else pathlib.Path(path)
    found = given if (given / SAVED_MODEL_FILE).is_file() else given / SAVED_MODEL
    try:
        description = ModelDescription.from_json((found / "assets" / ASSET).read_text("utf-8"))
        loaded = tf.saved_model.load(str(found))
        return SavedIntentClassifier(found, description, loaded, loaded.signatures["serving_default"])
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        raise UsageError(f"can't load the SavedModel {found}: {error}") from error
