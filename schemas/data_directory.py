"""Names and manifest of a data directory, as `prepare` writes it and the trainer reads it."""

import dataclasses
import hashlib
import json
import pathlib

from schemas.examples import WindowSizes
from schemas.exit_status import UsageError

SCHEMA_VERSION = 2
SPLITS = ("train", "validation", "test")

CONFIG = "config.json"
MANIFEST = "manifest.json"
COMPLETED = "COMPLETED"
LABELS = "labels.json"
STATISTICS = "statistics.json"
REJECTED = "rejected"
TRANSFORM = "transform"
TRANSFORM_FN = f"{TRANSFORM}/transform_fn"
VOCABULARY_ASSET = f"{TRANSFORM_FN}/assets/tokens"


def shard_name(split: str, index: int, count: int) -> str:
    """The file name of one shard, e.g. `train-00000-of-00008.tfrecord.gz`."""
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord.gz"


@dataclasses.dataclass(frozen=True)
class Books:
    """Where every turn went.

    Attributes:
        turns_read: turns found in the input; a line that can't be parsed counts as one.
        turns_rejected: {reason: turns}, each of them in `rejected/`.
        history_only: turns without labels, which serve as history.
        targets: turns with labels.
        windows: {split: records written}.
        dropped: {reason: targets that are in no split}.
    """

    turns_read: int
    turns_rejected: dict[str, int]
    history_only: int
    targets: int
    windows: dict[str, int]
    dropped: dict[str, int]

    def imbalances(self) -> list[str]:
        """The equations that don't hold, in words; empty when the books balance."""
        rejected, dropped = sum(self.turns_rejected.values()), sum(self.dropped.values())
        windows = sum(self.windows.values())
        wrong = []
        if self.turns_read != rejected + self.history_only + self.targets:
            wrong.append(
                f"{self.turns_read} turns read, but {rejected} rejected + {self.history_only} history only"
                f" + {self.targets} targets"
            )
        if self.targets != windows + dropped:
            wrong.append(f"{self.targets} targets, but {windows} windows + {dropped} dropped")
        return wrong


@dataclasses.dataclass(frozen=True)
class InputFile:
    """One input file: its path and its size in bytes."""

    path: str
    size: int


@dataclasses.dataclass(frozen=True)
class Shard:
    """One shard: file name inside the directory, split, number of records, sha256 of the file."""

    name: str
    split: str
    records: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a data directory holds.

    Attributes:
        inputs: the files it was made from.
        shards: every shard, sorted by name.
        vocabulary_size: number of token ids, padding and out-of-vocabulary included: ids are below it.
        max_tokens: the most tokens of a turn.
        history_turns: history slots of a window.
        history: whose earlier turns make the history, `all` or `same_speaker`.
        labels: number of labels (names are in labels.json).
        speakers: names of the speaker ids from `FIRST_SPEAKER_ID` on.
        target_speakers: the speakers that bore labels in the train split.
        numeric_features: names of the scalars, in their order.
        books: where every turn went.
        schema_version: of this file and of the Examples.
    """

    inputs: tuple[InputFile, ...]
    shards: tuple[Shard, ...]
    vocabulary_size: int
    max_tokens: int
    history_turns: int
    history: str
    labels: int
    speakers: tuple[str, ...]
    target_speakers: tuple[str, ...]
    numeric_features: tuple[str, ...]
    books: Books
    schema_version: int = SCHEMA_VERSION

    @property
    def sizes(self) -> WindowSizes:
        """The sizes of the Examples' features."""
        return WindowSizes(1 + self.history_turns, len(self.numeric_features), self.labels)

    def shards_of(self, split: str) -> list[Shard]:
        """The shards of one split, in order."""
        return [shard for shard in self.shards if shard.split == split]

    def to_json(self) -> str:
        """The text of manifest.json."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Reads the text of manifest.json.

        Raises:
            UsageError: when it is no manifest of this schema version.
        """
        try:
            values = json.loads(text)
            version = values["schema_version"]
            if version != SCHEMA_VERSION:
                raise UsageError(f"{MANIFEST} has schema version {version!r}; this program reads {SCHEMA_VERSION}")
            for name in ("speakers", "target_speakers", "numeric_features"):
                values[name] = tuple(values[name])
            values["inputs"] = tuple(InputFile(**item) for item in values["inputs"])
            values["shards"] = tuple(Shard(**item) for item in values["shards"])
            values["books"] = Books(**values["books"])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{MANIFEST} is damaged: {error}") from error


def read_manifest(data_dir: str | pathlib.Path) -> Manifest:
    """Reads the manifest of a completed data directory.

    Raises:
        UsageError: when the directory is missing, not completed, or its manifest is damaged.
    """
    path = pathlib.Path(data_dir)
    if not (path / COMPLETED).is_file():
        raise UsageError(f"{data_dir} is no completed data directory: it has no {COMPLETED} (run `prepare` first)")
    try:
        return Manifest.from_json((path / MANIFEST).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read {path / MANIFEST}: {error}") from error


def read_labels(data_dir: str | pathlib.Path) -> list[str]:
    """The label names of a data directory, in the order of the multi-hot vectors.

    Raises:
        UsageError: when labels.json can't be read.
    """
    path = pathlib.Path(data_dir) / LABELS
    try:
        return json.loads(path.read_text("utf-8"))["labels"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"can't read {path}: {error}") from error


@dataclasses.dataclass(frozen=True)
class LabelCounts:
    """How often each label occurs in the train split.

    Attributes:
        windows: windows of the split.
        labels: windows with each label, in the order of the multi-hot vectors.
    """

    windows: int
    labels: tuple[int, ...]


def read_label_counts(data_dir: str | pathlib.Path, manifest: Manifest) -> LabelCounts:
    """The label counts of a data directory, which labels.json holds beside the names.

    Raises:
        UsageError: when labels.json can't be read.
    """
    path = pathlib.Path(data_dir) / LABELS
    try:
        counts = json.loads(path.read_text("utf-8"))["train_counts"]
        return LabelCounts(manifest.books.windows["train"], tuple(int(count) for count in counts))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"can't read the label counts in {path}: {error}") from error


def sha256_of(path: str | pathlib.Path) -> str:
    """The sha256 of a local file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_label_map(data_dir: str | pathlib.Path) -> dict[str, str | None]:
    """{label of the logs: its name in the data directory, or None where it was dropped}, of what was renamed.

    Raises:
        UsageError: when config.json can't be read.
    """
    path = pathlib.Path(data_dir) / CONFIG
    try:
        return json.loads(path.read_text("utf-8"))["label_map"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"can't read {path}: {error!r}") from error
