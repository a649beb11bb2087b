"""What a SavedModel says of itself in its asset model.json: all that a client needs to make windows for it."""

import dataclasses
import json

from schemas.exit_status import UsageError

ASSET = "model.json"
SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """A model as its clients see it.

    Attributes:
        version: 16 hexadecimal digits that tell its weights, calibration and thresholds from any other's.
        labels: names in the order of the outputs.
        thresholds: the score from which on each label is said.
        slots: turns of a window, the current one and its history.
        history: `all` turns, or those of the `same_speaker`.
        numeric_features: names of the scalars in their order.
        speakers: names that the model knows.
        target_speakers: those whose turns bore labels in training.
        schema_version: of this file.
    """

    version: str
    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    slots: int
    history: str
    numeric_features: tuple[str, ...]
    speakers: tuple[str, ...]
    target_speakers: tuple[str, ...]
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The text of model.json, on one line: as an asset it is read line by line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelDescription":
        """Reads the text of model.json.

        Raises:
            UsageError: when it is none of this schema version.
        """
        try:
            values = json.loads(text)
            if values["schema_version"] != SCHEMA_VERSION:
                raise UsageError(
                    f"{ASSET} has schema version {values['schema_version']!r}; this program reads {SCHEMA_VERSION}"
                )
            for name in ("labels", "thresholds", "numeric_features", "speakers", "target_speakers"):
                values[name] = tuple(values[name])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{ASSET} is damaged: {error!r}") from error
