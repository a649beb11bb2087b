"""`trainer pretrain`: learns word vectors from the texts of a data directory, for `embedding_file` to start from."""

import argparse
import pathlib

from schemas import data_directory
from schemas.exit_status import UsageError
from schemas.visible_text import visible
from trainer.config import PRESETS
from trainer.flags import whole_number

REPORT_SUFFIX = ".html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `trainer pretrain`."""
    parser.add_argument("--data_dir", required=True, help="a data directory that `pipeline prepare` wrote")
    parser.add_argument("--output", required=True, metavar="FILE", help="where the vectors go, as word2vec text; gzip "
                        "when it ends in .gz. The report goes beside it, under the same name with .html")
    parser.add_argument("--dim", type=whole_number(1), default=PRESETS["default"].embedding_dim,
                        help="numbers of a vector, the training's embedding_dim (default: %(default)s)")
    parser.add_argument("--window", type=whole_number(1), default=4,
                        help="words on each side that a word tells, at most (default: %(default)s)")
    parser.add_argument("--negatives", type=whole_number(1), default=5,
                        help="weight of random words against a true neighbour (default: %(default)s)")
    parser.add_argument("--epochs", type=whole_number(1), default=5, help="default: %(default)s")
    parser.add_argument("--seed", type=whole_number(0, 2**31 - 1), default=20200701, help="default: %(default)s")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if there is one")
    parser.add_argument("--verbose", action="store_true", help="show TensorFlow's messages, and tracebacks of errors")


def run(args: argparse.Namespace) -> None:
    """Learns the vectors, writes them and a report, and prints the nearest words of some frequent ones.

    Args:
        args: with the flags that `add_arguments` declares.

    Raises:
        UsageError: when the data directory is missing or damaged, or the output can't be written.
        DataRefused: when a shard is damaged, or the train split has no texts to learn from.
    """
    output = pathlib.Path(args.output)
    report = report_path(output)
    _check_output(output, args.overwrite)
    manifest = data_directory.read_manifest(args.data_dir)

    # These import TensorFlow and matplotlib, which no wrong flag should have to wait for.
    from trainer.input_pipeline import verify_shards
    from trainer.pretrain_report import neighbours_of_frequent_words, write_report
    from trainer.skip_gram import Settings, read_corpus, skip_gram
    from trainer.word_vectors import read_texts, write_vectors

    words = read_texts(args.data_dir, manifest.vocabulary_size)
    verify_shards(args.data_dir, manifest)
    corpus = read_corpus(args.data_dir, manifest)
    print(f"{corpus.turns:,} turns, {len(corpus.token_ids):,} tokens, {len(corpus.known()):,} words", flush=True)
    settings = Settings(args.dim, args.window, args.negatives, args.epochs, args.seed)
    table, losses = skip_gram(corpus, settings)
    known = corpus.known()
    write_vectors(output, [words[token] for token in known], table[known])
    neighbours = neighbours_of_frequent_words(table, corpus, words)
    for word, nearest in neighbours:
        print(f"  {visible(word)}: {', '.join(visible(other) for other, _ in nearest)}")
    write_report(report, corpus, settings, losses, neighbours, args.data_dir, args.output)
    print(f"word vectors: {output}")
    print(f"report: {report}")


def report_path(output: pathlib.Path) -> pathlib.Path:
    """Where the report goes: `vectors.html` for `vectors.txt` and for `vectors.txt.gz`."""
    plain = output.with_suffix("") if output.suffix == ".gz" else output
    return plain.with_suffix(REPORT_SUFFIX)


def _check_output(output: pathlib.Path, overwrite: bool) -> None:
    """Makes the output's directory.

    Raises:
        UsageError: when the file can't go there.
    """
    if output == report_path(output):
        raise UsageError(f"--output {output}: {REPORT_SUFFIX} is the report's ending; name the vectors otherwise")
    if output.is_dir() or output.exists() and not overwrite:
        raise UsageError(f"--output {output} exists; give another name, or --overwrite to replace a file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"can't make the directory of --output {output}: {error}") from error
