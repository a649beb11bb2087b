"""Every setting of the trainer: one flat table, two presets, YAML files and `--set key=value` over them."""

import dataclasses
import importlib
import inspect
import pathlib
import typing
from collections.abc import Callable, Sequence

from schemas.exit_status import UsageError

PADDINGS = ("left", "right")
DECODER_ATTENTIONS = ("additive", "general")
MONITORS = ("val_loss", "val_micro_f1")
# Settings that name a part: the module of its family, and the table of names in it.
FAMILIES = {
    "embedding": ("embeddings", "EMBEDDINGS"),
    "encoder": ("encoders", "ENCODERS"),
    "readout": ("readouts", "READOUTS"),
    "context": ("contexts", "CONTEXTS"),
    "attention": ("attentions", "ATTENTIONS"),
    "gate": ("gates", "GATES"),
    "normalization": ("normalizations", "NORMALIZATIONS"),
    "head": ("heads", "HEADS"),
    "loss": ("losses", "LOSSES"),
    "optimizer": ("optimizers", "OPTIMIZERS"),
    "schedule": ("optimizers", "SCHEDULES"),
    "calibration": ("calibration", "CALIBRATIONS"),
}


def _number(default, low: float, high: float | None = None, *, above: bool = False, below: bool = False):
    """A numeric setting, or a list of such: from `low` (or `above` it) to `high` (or `below` it; None: no end)."""
    limits = {"low": low, "high": high, "above": above, "below": below}
    return dataclasses.field(default=default, metadata=limits)


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a training.

    Attributes are listed with their meaning beside them. The values here are the plainest ones; `PRESETS` has the
    combinations to start from. A part of the network takes the settings that its constructor names. null for `dropout`,
    `token_dropout`, `global_batch_size` or `epochs` leaves the choice to the number of training windows (data_size.py).
    """

    preset: str = "default"  # the preset that the other settings start from

    # Token vectors.
    embedding: str = "learnt"  # embeddings.EMBEDDINGS: learnt, or from a file of word vectors
    embedding_dim: int = _number(100, 1)  # size of a token's vector
    embedding_file: str | None = None  # GloVe or word2vec text, may be .gz; null: learnt from the train split
    embedding_trainable: bool = True  # false: `pretrained` vectors stay as they are in the file
    token_dropout: float | None = _number(0.0, 0, 1, below=True)  # whole tokens left out

    # From token vectors to a turn's vector.
    encoder: str = "lstm"  # encoders.ENCODERS: reads the tokens
    units: int = _number(128, 1)  # size of a token's state; of each kernel size, of each direction
    encoder_layers: int = _number(1, 1, 8)  # stacked readers
    bidirectional: bool = False  # recurrent encoders: read in both directions
    kernel_sizes: tuple[int, ...] = _number((1, 2, 3), 1, 16)  # of text_cnn and conv1d
    encoder_heads: int = _number(4, 1, 64)  # attention heads of transformer
    ngram_sizes: tuple[int, ...] = _number((2, 3), 2, 8)  # ngram_bag: tokens an n-gram
    ngram_buckets: int = _number(20000, 1)  # ngram_bag: rows that n-grams are hashed to
    character_ngram_sizes: tuple[int, ...] = _number((3, 4, 5), 1, 8)  # ngram_bag
    readout: str = "last"  # readouts.READOUTS: from the tokens' states to a turn's vector
    readout_hops: int = _number(4, 1, 64)  # self_attention: views of a turn
    readout_units: int = _number(64, 1)  # self_attention: size of its hidden layer
    readout_penalty: float = _number(0.01, 0)  # self_attention: for views that are alike
    mask_padding: bool = True  # read each turn at its own length; false: padding is read as a word
    padding: str = "right"  # left or right: the side where padding that is read as a word lies

    # From the history's turns to the memory.
    context: str = "none"  # contexts.CONTEXTS: how turns are read in the light of the turns before them
    attention: str = "dot"  # attentions.ATTENTIONS: scores the history
    attention_heads: int = _number(1, 1, 64)  # more than one: with projections
    hops: int = _number(1, 1, 8)  # times that the history is looked up
    slot_position: bool = False  # a turn's slot is part of its key and value
    slot_speaker: bool = False  # a turn's speaker is part of its key and value
    null_slot: bool = False  # a slot that stands for "nothing in the history matters"
    mask_history: bool = True  # no weight for empty slots; false: they compete like turns
    gate: str = "scalar"  # gates.GATES: how much of the memory is let through
    gate_penalty: float = _number(0.0, 0)  # price of an open gate, added to the loss

    # From memory, current turn and scalars to labels.
    hidden_units: int = _number(0, 0)  # a hidden layer before the head; 0: none
    normalization: str = "none"  # normalizations.NORMALIZATIONS: of the head's features
    head: str = "sigmoid"  # heads.HEADS: from features to a logit a label
    decoder_attention: str = "additive"  # additive or general: how the head `sequence` looks at the turns
    target_replication: float = _number(0.0, 0, 1)  # share of the loss at each token
    dropout: float | None = _number(0.0, 0, 1, below=True)  # of token vectors and features

    # The loss.
    loss: str = "binary_crossentropy"  # losses.LOSSES
    positive_weight_limit: float = _number(10.0, 1)  # weighted_...: at most so much
    focal_gamma: float = _number(2.0, 0)  # focal, asymmetric: for negatives
    focal_gamma_positive: float = _number(0.0, 0)  # asymmetric: for positives
    label_smoothing: float = _number(0.0, 0, 1, below=True)  # towards 1/2
    oversampling: float = _number(1.0, 1)  # a rare label's windows are shown up to so often
    l1: float = _number(0.0, 0)  # of kernels
    l2: float = _number(0.0, 0)  # of kernels

    # The training.
    optimizer: str = "rmsprop"  # optimizers.OPTIMIZERS
    learning_rate: float = _number(1e-3, 0, above=True)
    schedule: str = "constant"  # optimizers.SCHEDULES: of the learning rate
    warmup: float = _number(0.0, 0, 1, below=True)  # share of the steps in which it rises
    momentum: float = _number(0.0, 0, 1, below=True)  # sgd, rmsprop
    nesterov: bool = False  # sgd
    amsgrad: bool = False  # adam, adamw
    weight_decay: float = _number(0.004, 0)  # adamw: of every weight, times the learning rate
    clipnorm: float | None = _number(None, 0, above=True)  # of each gradient
    clipvalue: float | None = _number(None, 0, above=True)  # of each component
    global_clipnorm: float | None = _number(None, 0, above=True)  # of all together
    ema_momentum: float = _number(0.0, 0, 1, below=True)  # validate averaged weights; 0: no
    initializer: str | None = None  # a Keras initializer for kernels; null: each layer's own
    mixed_precision: bool = False  # compute in 16 bits, keep weights in 32: for GPUs
    jit_compile: bool = False  # compile with XLA, which reads turns at full length: for GPUs; not recurrent encoders
    global_batch_size: int | None = _number(64, 1)  # windows a step, over all devices
    epochs: int | None = _number(30, 1)  # at most
    monitor: str = "val_micro_f1"  # see MONITORS: what the best epoch goes by
    # Stop after so many epochs in which neither the monitored figure nor val_loss was the best so far; null: never.
    early_stopping_patience: int | None = _number(4, 1)
    keep_best: bool = True  # keep the weights of the best epoch; false: of the last one
    threshold: float = _number(0.5, 0, 1)  # the training's own figures count a label as said from this score on
    calibration: str = "none"  # calibration.CALIBRATIONS: from scores to probabilities, learnt on validation windows
    threshold_policy: str = "fixed:0.5"  # or max_f1, precision_at_least:P, recall_at_least:R: on validation windows
    threshold_shrinkage: float = _number(100.0, 0)  # positives that want the common threshold, for each label
    warm_start: str | None = None  # a model directory: start from its weights, rows of words and labels by name
    shuffle_buffer: int = _number(4096, 1)  # conversations shuffled at a time
    seed: int = _number(20200701, 0, 2**31 - 1)  # of weights, order and dropout

    def to_dict(self) -> dict:
        """The settings as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value
                for key, value in dataclasses.asdict(self).items()}


_FIELDS = {field.name: field for field in dataclasses.fields(Config)}

PRESETS = {
    # The network of the weekly report to the letter: no mask, no dropout, the last weights. The report does not say on
    # which side its padding lies. Keras' pad_sequences puts it on the left; on the right it would wash out the words.
    "weekly_report": Config(
        preset="weekly_report", mask_padding=False, padding="left", mask_history=False, keep_best=False,
        optimizer="rmsprop", learning_rate=1e-3, epochs=40, early_stopping_patience=None,
    ),
    # The same network with masks, dropout and early stopping.
    "masked_lstm": Config(preset="masked_lstm", optimizer="adam", learning_rate=3e-3, dropout=0.3),
    # The best found on real logs, on their validation parts; docs/network.md tells what each part brought.
    "default": Config(
        preset="default", embedding="pretrained", embedding_dim=200, encoder="conv1d", readout="max",
        attention="scaled_dot", attention_heads=4, slot_position=True, null_slot=True, gate="vector", hidden_units=256,
        normalization="layer", optimizer="adam", learning_rate=2e-3, schedule="cosine", warmup=0.1,
        early_stopping_patience=None, dropout=None, token_dropout=None, global_batch_size=None, epochs=None,
        calibration="temperature", threshold_policy="max_f1",
    ),
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
    if not isinstance(name, str) or name not in PRESETS:
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


def arguments_of(part: Callable, config: Config, **given) -> dict:
    """What `part` takes, by name, of what is given and of the settings; what is given goes first."""
    wanted = inspect.signature(part).parameters
    return {name: value for name, value in {**config.to_dict(), **given}.items() if name in wanted}


def check_parts(config: Config) -> None:
    """Checks the names of the network's parts and what goes with what (imports Keras).

    Raises:
        UsageError: for a name that its family does not have, or settings that do not go together.
    """
    families = {"padding": PADDINGS, "monitor": MONITORS, "decoder_attention": DECODER_ATTENTIONS}
    for key, (module, table) in FAMILIES.items():
        families[key] = getattr(importlib.import_module(f"trainer.{module}"), table)
    for key, family in families.items():
        value = getattr(config, key)
        if value not in family:
            raise UsageError(f"{key}: {value!r} is unknown; allowed: {', '.join(family)}")
    importlib.import_module("trainer.optimizers").check_optimizer(config)
    importlib.import_module("trainer.kernels").check_initializer(config)
    importlib.import_module("trainer.thresholds").parse_policy(config.threshold_policy)
    importlib.import_module("trainer.embeddings").check_embedding(config.embedding, config.embedding_file)
    _check_loss(config)
    _check_target_replication(config)


def _check_loss(config: Config) -> None:
    """Raises a UsageError when the loss does not fit the head or the label smoothing."""
    if (config.head == "sequence") != (config.loss == "sequence_crossentropy"):
        raise UsageError("head=sequence and loss=sequence_crossentropy go together, and with nothing else; got "
                         f"head={config.head} and loss={config.loss}")
    loss = importlib.import_module("trainer.losses").LOSSES[config.loss]
    if config.label_smoothing and "label_smoothing" not in inspect.signature(loss).parameters:
        raise UsageError(f"label_smoothing: {config.label_smoothing} means nothing to loss={config.loss}")


def _check_target_replication(config: Config) -> None:
    """Raises a UsageError when target replication meets a part that it does not go with.

    The head must be able to read the state at a token in the place of the current turn's vector.
    """
    if not config.target_replication:
        return
    encoders = importlib.import_module("trainer.recurrent_encoders").RECURRENT_ENCODERS
    head = importlib.import_module("trainer.heads").HEADS[config.head]
    wrong = [text for text, is_wrong in (
        (f"encoder={config.encoder} (allowed: {', '.join(encoders)})", config.encoder not in encoders),
        # Read backwards, the state at a token has seen what follows it, and not what comes before.
        ("bidirectional=true", config.bidirectional),
        (f"readout={config.readout} (allowed: last)", config.readout != "last"),
        ("mask_padding=false", not config.mask_padding),
        (f"context={config.context} (allowed: none)", config.context != "none"),
        # These two take figures over all rows of a batch, of which some would be padding.
        ("normalization=batch", config.normalization == "batch"),
        ("loss=smooth_f1", config.loss == "smooth_f1"),
        (f"head={config.head}, which is taught with the labels", head.needs_labels),
    ) if is_wrong]
    if wrong:
        raise UsageError(f"target_replication: {config.target_replication} does not go with {'; '.join(wrong)}")


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
    except (yaml.YAMLError, ValueError) as error:
        # A ValueError: something like a date that is none.
        raise UsageError(f"{where}: not valid YAML: {error}") from error


def _checked(key: str, value):
    """The value of a setting in its field's type.

    Raises:
        UsageError: naming the key and what is allowed.
    """
    if key not in _FIELDS:
        raise UsageError(f"unknown setting {key!r}; allowed: {', '.join(_FIELDS)}")
    field = _FIELDS[key]
    type_, optional = _without_none(field.type)
    if value is None and optional:
        return None
    converted = _converted(value, type_)
    if converted is None:
        raise UsageError(f"{key}: expected {_TYPE_NAMES[type_]}{' or null' * optional}, got {value!r}")
    for number in converted if isinstance(converted, tuple) else (converted,):
        _check_range(key, number, field.metadata)
    return converted


def _without_none(type_) -> tuple[type, bool]:
    """A field's type without None, and whether it allowed None."""
    kinds = typing.get_args(type_)
    if type(None) not in kinds:
        return type_, False
    [kind] = [kind for kind in kinds if kind is not type(None)]
    return kind, True


_LIST = tuple[int, ...]
_TYPE_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a name", _LIST: "a list of integers"}


def _converted(value, type_):
    """The value in the type, or None when it is of another type."""
    if type_ == _LIST:
        fits = isinstance(value, list | tuple) and value and all(type(number) is int for number in value)
        return tuple(value) if fits else None
    if type_ is float and not isinstance(value, bool):
        # YAML 1.1 reads `1e-3` as text.
        try:
            return float(value)
        except (TypeError, ValueError):
            return None
    return value if type(value) is type_ else None


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
