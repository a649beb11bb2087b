"""The label map: labels renamed, merged and dropped before anything is learnt."""

import numpy as np
import pyarrow as pa

from schemas.exit_status import UsageError


def read_label_map(path: str) -> dict[str, str | None]:
    """Reads a YAML file {label: new name, or null to drop it}; two labels with one new name are merged.

    Raises:
        UsageError: when the file can't be read or says something else.
    """
    import yaml
    from apache_beam.io.filesystems import FileSystems

    try:
        with FileSystems.open(path) as file:
            label_map = yaml.safe_load(file.read())
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"can't read --label_map {path}: {error}") from error
    allowed = "allowed is a YAML mapping of a label to its new name, or to null to drop it"
    if not isinstance(label_map, dict):
        raise UsageError(f"--label_map {path} is no mapping; {allowed}")
    for label, name in label_map.items():
        if not isinstance(label, str) or not (name is None or isinstance(name, str) and name):
            raise UsageError(f"--label_map {path} maps {label!r} to {name!r}; {allowed}")
    return label_map


def apply_label_map(labels: pa.ListArray, label_map: dict[str, str | None]) -> tuple[pa.ListArray, np.ndarray]:
    """Renames and drops labels.

    Args:
        labels: of each turn, null where it is no target.
        label_map: from `read_label_map`.

    Returns:
        The new labels, and which turns lost all of theirs, bool: nothing says that these have no intent.
    """
    lengths = labels.value_lengths().fill_null(0).to_numpy()
    values = labels.flatten().dictionary_encode()
    names = pa.array([label_map.get(label, label) for label in values.dictionary.to_pylist()], pa.string())
    mapped = names.take(values.indices)
    kept = mapped.is_valid().to_numpy(zero_copy_only=False)
    turn = np.repeat(np.arange(len(labels)), lengths)
    counts = np.bincount(turn[kept], minlength=len(labels))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    mask = labels.is_null() if labels.null_count else None
    return pa.ListArray.from_arrays(offsets, mapped.drop_null(), mask=mask), (lengths > 0) & (counts == 0)
