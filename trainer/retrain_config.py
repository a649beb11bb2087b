"""retrain.yaml: what `trainer retrain` reads, learns, checks and replaces.

Relative paths in it are relative to the directory that it lies in.
"""

import dataclasses
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas.exit_status import UsageError
from trainer.blessing_policy import policy_of, read_policy
from trainer.checked_mapping import checked_by, from_mapping, share, true_or_false, whole_number
from trainer.drift_thresholds import Thresholds
from trainer.run_record import OUTCOMES, RUNNING
from trainer.yaml_file import read_yaml

# What `retrain` itself tells `prepare` and `score`.
RESERVED_FLAGS = ("input", "output_dir", "model_dir", "overwrite", "dry_run", "keep_splits_of", "verbose", "help")
# Flags and settings whose values are paths.
PATHS = ("label_map", "embedding_file")
ENDS = tuple(outcome for outcome in OUTCOMES if outcome != RUNNING)
MASKED = "(not recorded)"
_FLAG = re.compile(r"[a-z][a-z0-9_]*")
_SECRET = re.compile(r"(^|_)(secret|password|passwd|credentials?|access_key|api_key|session_token)(_|$)")


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ValueError("a list of paths, which may have * and {date} in them")
    return tuple(value)


def _directory(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("the path of a directory")
    return value


def _path_or_none(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError("the path of a file")
    return value


def _name_or_none(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("a name")
    return value


def _flags(value: Any) -> dict[str, Any]:
    """{flag: value} of a command of the pipeline."""
    if not isinstance(value, dict) or not all(isinstance(key, str) and _FLAG.fullmatch(key) for key in value):
        raise ValueError("a mapping from flags, without their dashes, to values")
    taken = [key for key in value if key in RESERVED_FLAGS]
    if taken:
        raise ValueError(f"other flags than {', '.join(RESERVED_FLAGS)}, which retrain gives itself")
    return value


def _settings(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError("a mapping from settings of `train` to values")
    return value


def _command(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings: the program and its arguments")
    return tuple(value)


def _web_address(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or not urllib.parse.urlsplit(
            value).hostname:
        raise ValueError("an address that begins with http:// or https://")
    return value


def _outcomes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(item in ENDS for item in value):
        raise ValueError(f"a list of {', '.join(ENDS)}")
    return tuple(value)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Which turn logs a run learns from.

    Attributes:
        patterns: paths with `*`, `?`, `[…]`, `**` and `{date}` (or `{date:%Y%m%d}`), which stands for each day.
        window_days: how many days, the last one included.
        lag_days: how many days before the run's date the last day is.
        min_volume: the data are refused when a new day has fewer bytes than this share of a usual one's.
    """

    patterns: tuple[str, ...] = checked_by(_patterns)
    window_days: int = checked_by(whole_number(1), 1)
    lag_days: int = checked_by(whole_number(0), 0)
    min_volume: float = checked_by(share, 0.2)


@dataclasses.dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        preset: a preset of `train`, or None for its default.
        config: a YAML file of settings, or None.
        settings: {setting: value} over both.
        warm_start: whether to start from the model in service.
    """

    preset: str | None = checked_by(_name_or_none, None)
    config: str | None = checked_by(_path_or_none, None)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"check": _settings})
    warm_start: bool = checked_by(true_or_false, True)


@dataclasses.dataclass(frozen=True)
class Scoring:
    """What the model is let loose on once it is in service.

    Attributes:
        patterns: as those of the inputs.
        flags: {flag: value} of `pipeline score`.
    """

    patterns: tuple[str, ...] = checked_by(_patterns)
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"check": _flags})


@dataclasses.dataclass(frozen=True)
class Notify:
    """Who is told of the end of a run.

    Attributes:
        command: a program and its arguments, which gets the notice as JSON on its standard input.
        webhook: an address to which the notice is posted as JSON.
        outcomes: of which they are told.
    """

    command: tuple[str, ...] | None = checked_by(_command, None)
    webhook: str | None = checked_by(_web_address, None)
    outcomes: tuple[str, ...] = checked_by(_outcomes, ENDS)


def _section(kind: type, where: str) -> Callable[[Any], Any]:
    """The check of a mapping inside the mapping."""
    return lambda value: from_mapping(kind, value, f"{where}.")


def _score(value: Any) -> Scoring | None:
    return None if value is None else from_mapping(Scoring, value, "score.")


def _policy(value: Any) -> Any:
    """A mapping or the path of a file; `read_retrain_config` reads it."""
    if value is not None and not isinstance(value, dict | str):
        raise ValueError("the path of a policy file, or a mapping as in one")
    return value


def _drift(value: Any) -> dict[str, Any]:
    """The mapping as it is: `trainer drift` gets it in a file."""
    from_mapping(Thresholds, value, "drift.")
    return value or {}


@dataclasses.dataclass(frozen=True)
class RetrainConfig:
    """All of retrain.yaml.

    Attributes:
        inputs: which turn logs.
        runs_dir: where the runs go.
        serving_dir: where the models in service are.
        prepare: {flag: value} of `pipeline prepare`.
        train: how a model is trained.
        drift: thresholds of `trainer drift`.
        policy: of `trainer bless`, as its file has it.
        score: what to score with a new model in service; None for nothing.
        keep: how many versions stay in `serving_dir`, and how many runs keep their data and models.
        notify: who is told.
    """

    inputs: Inputs = checked_by(_section(Inputs, "inputs"))
    runs_dir: str = checked_by(_directory)
    serving_dir: str = checked_by(_directory)
    prepare: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"check": _flags})
    train: Training = checked_by(_section(Training, "train"), Training())
    drift: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"check": _drift})
    policy: Any = checked_by(_policy, None)
    score: Scoring | None = checked_by(_score, None)
    keep: int = checked_by(whole_number(2), 5)
    notify: Notify = checked_by(_section(Notify, "notify"), Notify())

    def record(self) -> dict[str, Any]:
        """The configuration as run.json has it: without what may be secret."""
        values = dataclasses.asdict(self)
        values["prepare"] = _without_secrets(self.prepare)
        if self.score:
            values["score"]["flags"] = _without_secrets(self.score.flags)
        notify = values["notify"]
        if self.notify.webhook:
            # The path of a web hook's address is its key.
            address = urllib.parse.urlsplit(self.notify.webhook)
            notify["webhook"] = f"{address.scheme}://{address.hostname}/{MASKED}"
        if self.notify.command:
            notify["command"] = [self.notify.command[0], *[MASKED] * (len(self.notify.command) - 1)]
        return values


def read_retrain_config(file: str | pathlib.Path) -> RetrainConfig:
    """Reads retrain.yaml; relative paths become absolute.

    Raises:
        UsageError: naming the key that is wrong, and what is allowed.
    """
    base = pathlib.Path(file).absolute().parent
    try:
        config = from_mapping(RetrainConfig, read_yaml(file))
        return _located(config, lambda path: str(base / pathlib.Path(path).expanduser()))
    except UsageError as error:
        raise UsageError(f"--config {file}: {error}") from error


def _located(config: RetrainConfig, absolute: Callable[[str], str]) -> RetrainConfig:
    """The configuration with absolute paths and a policy that was read."""
    train, score = config.train, config.score
    if isinstance(config.policy, str):
        policy = dataclasses.asdict(read_policy(absolute(config.policy)))
    else:
        try:
            policy = dataclasses.asdict(policy_of(config.policy))
        except UsageError as error:
            raise UsageError(f"policy: {error}") from error
    return dataclasses.replace(
        config,
        inputs=dataclasses.replace(config.inputs, patterns=tuple(map(absolute, config.inputs.patterns))),
        runs_dir=absolute(config.runs_dir),
        serving_dir=absolute(config.serving_dir),
        prepare=_located_values(config.prepare, absolute),
        train=dataclasses.replace(train, config=absolute(train.config) if train.config else None,
                                  settings=_located_values(train.settings, absolute)),
        policy={**policy, "retired_labels": list(policy["retired_labels"])},
        score=score and Scoring(tuple(map(absolute, score.patterns)), _located_values(score.flags, absolute)),
    )


def _located_values(values: Mapping[str, Any], absolute: Callable[[str], str]) -> dict[str, Any]:
    return {key: absolute(value) if key in PATHS and isinstance(value, str) else value
            for key, value in values.items()}


def _without_secrets(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {key: MASKED if _SECRET.search(key) else value for key, value in flags.items()}


def as_flags(values: Mapping[str, Any]) -> list[str]:
    """Command-line flags of {flag: value}.

    A list becomes `a,b`, a mapping `a=b,c=d`, true the flag alone; false and null leave the flag away.
    """
    return [f"--{key}" if value is True else f"--{key}={_flag_text(value)}"
            for key, value in values.items() if value is not None and value is not False]


def _flag_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


