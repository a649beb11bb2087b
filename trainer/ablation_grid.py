"""What an ablation trains: the grid file, and the variants that come of it.

The file is a YAML mapping of

- `data`: {name: data directory};
- `seeds`: a list of integers;
- `base`: settings that all variants share, `preset` among them;
- `variants`: {name: the settings in which the variant differs from the base}, `{}` for the base itself;
- `grid`: {setting: list of values}: each combination is one more variant, named by its settings. A combination that
  comes to the same as a variant above it is left out.

Settings are those of `Config`.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping

from schemas.exit_status import UsageError
from trainer.config import Config, load_config
from trainer.yaml_file import read_yaml

KEYS = ("data", "seeds", "base", "variants", "grid")
# Bytes of a directory's name; file systems allow 255.
MAX_DIRECTORY_NAME = 120


@dataclasses.dataclass(frozen=True)
class Variant:
    """One choice of settings: those that differ from the default preset, and what they come to."""

    name: str
    settings: Mapping[str, object]
    config: Config


@dataclasses.dataclass(frozen=True)
class Grid:
    """Everything to train.

    Attributes:
        data: {name: data directory}.
        seeds: of the trainings of each variant on each data set.
        variants: what to compare.
        base: name of the variant that has the base's settings; None where none has.
    """

    data: Mapping[str, str]
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    base: str | None


def read_grid(file: str) -> Grid:
    """Reads a grid file.

    Raises:
        UsageError: naming the key that is wrong.
    """
    try:
        return _grid(_read(file))
    except UsageError as error:
        raise UsageError(f"--grid {file}: {error}") from error


def as_arguments(settings: Mapping[str, object]) -> list[str]:
    """Settings as `load_config` and `--set` take them; JSON is YAML."""
    return [f"{key}={_json(value)}" for key, value in settings.items()]


def directory_name(name: str) -> str:
    """A name that any file system takes, the same as the given one where that is harmless."""
    kept = "".join(character if character.isalnum() or character in "=,.+-" else "_" for character in name)
    if kept.startswith("."):
        kept = f"_{kept[1:]}"
    if len(kept.encode()) <= MAX_DIRECTORY_NAME:
        return kept
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{kept.encode()[:MAX_DIRECTORY_NAME - 13].decode('utf-8', 'ignore')}-{digest}"


def _read(file: str) -> dict:
    """The mapping of a grid file."""
    values = read_yaml(file)
    if not isinstance(values, dict):
        raise UsageError(f"expected a mapping of {', '.join(KEYS)}, got {type(values).__name__}")
    return values


def _grid(values: dict) -> Grid:
    """Checks a grid file's mapping."""
    for key in values:
        if key not in KEYS:
            raise UsageError(f"unknown key {key!r}; allowed: {', '.join(KEYS)}")
    data = _mapping(values, "data")
    for name, path in data.items():
        if not isinstance(path, str):
            raise UsageError(f"data.{name}: expected a data directory, got {path!r}")
    if not data:
        raise UsageError("data: expected at least one name and data directory")
    base = _settings(values, "base")
    base_config = _config(base, "base")
    seeds = _seeds(values.get("seeds"), base)
    variants = list(_named_variants(base, _mapping(values, "variants")))
    for variant in _combinations(base, _settings(values, "grid")):
        if variant.config not in [other.config for other in variants]:
            variants.append(variant)
    if not variants:
        raise UsageError("variants: expected at least one")
    _check_names("data", data)
    _check_names("variants", [variant.name for variant in variants])
    same = [variant.name for variant in variants if variant.config == base_config]
    return Grid(data, seeds, tuple(variants), same[0] if same else None)


def _mapping(values: Mapping, key: str, inside: str = "") -> dict:
    """The mapping under a key, empty where there is none; its keys are text."""
    mapping = values.get(key)
    if mapping is None:
        return {}
    if not isinstance(mapping, dict):
        raise UsageError(f"{inside}{key}: expected a mapping, got {mapping!r}")
    for name in mapping:
        if not isinstance(name, str) or not name:
            raise UsageError(f"{inside}{key}: {name!r} is no name; write it in quotes")
    return mapping


def _settings(values: Mapping, key: str, inside: str = "") -> dict:
    """The mapping of settings under a key."""
    settings = _mapping(values, key, inside)
    if "seed" in settings:
        raise UsageError(f"{inside}{key}.seed: the seeds are listed under the key `seeds`")
    return settings


def _seeds(seeds, base: Mapping[str, object]) -> tuple[int, ...]:
    """The seeds, checked."""
    if not isinstance(seeds, list) or not seeds:
        raise UsageError(f"seeds: expected a list of integers, got {seeds!r}")
    for number, seed in enumerate(seeds):
        _config({**base, "seed": seed}, "seeds")
        if seed in seeds[:number]:
            raise UsageError(f"seeds: {seed} is there twice")
    return tuple(seeds)


def _named_variants(base: Mapping[str, object], variants: Mapping[str, object]) -> Iterator[Variant]:
    """The variants of the key `variants`."""
    for name in variants:
        settings = {**base, **_settings(variants, name, "variants.")}
        yield Variant(name, settings, _config(settings, f"variants.{name}"))


def _combinations(base: Mapping[str, object], grid: Mapping[str, object]) -> Iterator[Variant]:
    """The variants of the key `grid`."""
    for key, choices in grid.items():
        if not isinstance(choices, list) or not choices:
            raise UsageError(f"grid.{key}: expected a list of values, got {choices!r}")
    for choice in itertools.product(*grid.values()) if grid else ():
        changes = dict(zip(grid, choice, strict=True))
        name = ",".join(f"{key}={_value_text(value)}" for key, value in changes.items())
        settings = {**base, **changes}
        yield Variant(name, settings, _config(settings, f"grid: {name}"))


def _value_text(value) -> str:
    """A setting's value in a variant's name."""
    return value if isinstance(value, str) else _json(value)


def _json(value) -> str:
    """A value read from YAML; what JSON does not know is no setting's value either, and becomes text."""
    return json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)


def _config(settings: Mapping[str, object], where: str) -> Config:
    """What settings come to.

    Raises:
        UsageError: that begins with `where`.
    """
    try:
        return load_config(settings=as_arguments(settings))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_names(key: str, names: Iterable[str]) -> None:
    """Raises a UsageError when two names have the same directory."""
    seen: dict[str, str] = {}
    for name in names:
        directory = directory_name(name)
        if directory in seen:
            raise UsageError(f"{key}: {seen[directory]!r} and {name!r} would share the directory {directory}; "
                             "rename one")
        seen[directory] = name
