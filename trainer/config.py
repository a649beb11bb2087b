"""Every setting of the trainer: one flat table, two presets, YAML files and `--set key=value` over them."""

import dataclasses
import pathlib
from collections.abc import Sequence

from schemas.exit_status import UsageError

PADDINGS = ("left", "right")
MONITORS = ("val_loss", "val_micro_f1")
OPTIMIZERS = ("rmsprop", "adam", "nadam", "adamax", "sgd")


def _range(low: float, high: float | None = None, *, above: bool = False, below: bool = False) -> dict:
    """Metadata of a numeric setting: from `low` (`above`: excluded) to `high` (`below`: excluded; None: no end)."""
    return {"low": low, "high": high, "above": above, "below": below}


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a training.

    Attributes are listed with their meaning beside them; the values here are those of the preset `default`.
    """

    preset: str = "default"  # the preset that the other settings start from

    # The network. The parts are named as in the tables that end their modules.
    encoder: str = "lstm"  # encoders.ENCODERS: turns a turn into a vector
    embedding_dim: int = dataclasses.field(default=100, metadata=_range(1))  # size of a token's vector
    units: int = dataclasses.field(default=128, metadata=_range(1))  # size of a turn's vector
    mask_padding: bool = True  # read each turn at its own length; false: padding is read as a word
    padding: str = "right"  # left or right: the side where padding that is read as a word lies
    attention: str = "dot"  # attentions.ATTENTIONS: weighs the history
    mask_history: bool = True  # no weight for empty slots; false: they compete like turns
    gate: str = "scalar"  # gates.GATES: how much of the memory is let through
    head: str = "sigmoid"  # heads.HEADS: from features to a logit a label
    dropout: float = dataclasses.field(default=0.3, metadata=_range(0, 1, below=True))  # of token vectors and features

    # The training.
    loss: str = "binary_crossentropy"  # losses.LOSSES
    optimizer: str = "adam"  # see OPTIMIZERS
    learning_rate: float = dataclasses.field(default=3e-3, metadata=_range(0, above=True))
    batch_size: int = dataclasses.field(default=64, metadata=_range(1))  # windows a step, over all devices
    epochs: int = dataclasses.field(default=30, metadata=_range(1))  # at most
    monitor: str = "val_micro_f1"  # see MONITORS: what the best epoch goes by
    # Stop after so many epochs in which neither the monitored figure nor val_loss was the best so far; null: never.
    early_stopping_patience: int | None = dataclasses.field(default=4, metadata=_range(1))
    keep_best: bool = True  # keep the weights of the best epoch; false: of the last one
    threshold: float = dataclasses.field(default=0.5, metadata=_range(0, 1))  # a label is said from this score on
    shuffle_buffer: int = dataclasses.field(default=4096, metadata=_range(1))  # conversations shuffled at a time
    seed: int = dataclasses.field(default=20200701, metadata=_range(0, 2**31 - 1))  # of weights, order and dropout

    def to_dict(self) -> dict:
        """The settings as JSON values."""
        return dataclasses.asdict(self)


_FIELDS = {field.name: field for field in dataclasses.fields(Config)}

PRESETS = {
    # The network of the weekly report to the letter: no mask, no dropout, the last weights. The report does not say on
    # which side its padding lies. Keras' pad_sequences puts it on the left; on the right it would wash out the words.
    "weekly_report": Config(
        preset="weekly_report", mask_padding=False, padding="left", mask_history=False, dropout=0.0, keep_best=False,
        optimizer="rmsprop", learning_rate=1e-3, batch_size=64, epochs=40, early_stopping_patience=None,
    ),
    "default": Config(),
}


def load_config(preset: str | None = None, file: str | None = None, settings: Sequence[str] = ()) -> Config:
    """Builds the configuration: the preset, changed by the file, changed by the settings.

    Args:
        preset: a name of `PRESETS`; None for the file's `preset`, else `default`.
        file: path of a YAML file with one mapping of settings.
        settings: `key=value` each, the value in YAML.

    Raises:
        UsageError: for an unknown key, a value of the wrong type or out of range, an unreadable file.
    """
    changes = _read_file(file) if file else {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: expected key=value")
        changes[key.strip()] = _parse_yaml(text, f"--set {setting}")
    name = preset if preset is not None else changes.get("preset", "default")
    if name not in PRESETS:
        raise UsageError(f"preset: {name!r} is unknown; allowed: {', '.join(PRESETS)}")
    checked = {key: _checked(key, value) for key, value in changes.items() if key != "preset"}
    config = dataclasses.replace(PRESETS[name], **checked)
    check_parts(config)
    return config


def from_dict(values: dict) -> Config:
    """The configuration that a model directory's config.json holds.

    Raises:
        UsageError: when a setting is missing, unknown or of the wrong type.
    """
    missing = sorted(set(_FIELDS) - set(values))
    if missing:
        raise UsageError(f"the model's configuration lacks {', '.join(missing)}")
    return Config(**{key: _checked(key, value) for key, value in values.items()})


def check_parts(config: Config) -> None:
    """Checks the names of the network's parts (imports Keras).

    Raises:
        UsageError: for a name that its family does not have.
    """
    from trainer.attentions import ATTENTIONS
    from trainer.encoders import ENCODERS
    from trainer.gates import GATES
    from trainer.heads import HEADS
    from trainer.losses import LOSSES

    families = {"encoder": ENCODERS, "attention": ATTENTIONS, "gate": GATES, "head": HEADS, "loss": LOSSES,
                "optimizer": OPTIMIZERS, "monitor": MONITORS, "padding": PADDINGS}
    for key, family in families.items():
        value = getattr(config, key)
        if value not in family:
            raise UsageError(f"{key}: {value!r} is unknown; allowed: {', '.join(family)}")


def _read_file(file: str) -> dict:
    """The mapping of a YAML file."""
    try:
        text = pathlib.Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read --config {file}: {error}") from error
    values = _parse_yaml(text, f"--config {file}")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"--config {file}: expected a mapping of settings, got {type(values).__name__}")
    return values


def _parse_yaml(text: str, where: str):
    """The value of a YAML text."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not valid YAML: {error}") from error


def _checked(key: str, value):
    """The value of a setting in its field's type.

    Raises:
        UsageError: naming the key and what is allowed.
    """
    if key not in _FIELDS:
        raise UsageError(f"unknown setting {key!r}; allowed: {', '.join(_FIELDS)}")
    field = _FIELDS[key]
    if value is None and field.type == int | None:
        return None
    converted = _converted(value, field.type)
    if converted is None:
        raise UsageError(f"{key}: expected {_type_name(field.type)}, got {value!r}")
    _check_range(key, converted, field.metadata)
    return converted


def _converted(value, type_):
    """The value in the type, or None when it is of another type."""
    if type_ == int | None:
        type_ = int
    if type_ is float and not isinstance(value, bool):
        # YAML 1.1 reads `1e-3` as text.
        try:
            return float(value)
        except (TypeError, ValueError):
            return None
    return value if type(value) is type_ else None


def _type_name(type_) -> str:
    """A type in the user's words."""
    return {bool: "true or false", int: "an integer", float: "a number", str: "a name"}.get(type_, "an integer or null")


def _check_range(key: str, value, limits) -> None:
    """Raises a UsageError when a number is out of its range (not a number is out of any)."""
    if not limits:
        return
    low, high, above, below = limits["low"], limits["high"], limits["above"], limits["below"]
    low_holds = value > low if above else value >= low
    high_holds = value < float("inf") if high is None else value < high if below else value <= high
    if not (low_holds and high_holds):
        allowed = f"{'more than' if above else 'at least'} {low}"
        if high is not None:
            allowed += f" and {'less than' if below else 'at most'} {high}"
        raise UsageError(f"{key}: {value} is out of range; allowed: {allowed}")
