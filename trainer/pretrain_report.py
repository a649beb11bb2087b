"""The page of `trainer pretrain`: the nearest words of frequent words, and the course of the loss."""

import pathlib
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from trainer import plots
from trainer.pages import environment, write_files
from trainer.skip_gram import Corpus, Settings

SHOWN_WORDS, SHOWN_AMONG, NEIGHBOURS = 16, 96, 8


def nearest(table: np.ndarray, token: int, among: np.ndarray, count: int) -> list[tuple[int, float]]:
    """The token ids, of those in `among`, whose vectors have the largest cosine with a token's, and the cosines."""
    norms = np.maximum(np.linalg.norm(table[among], axis=1) * np.linalg.norm(table[token]), 1e-12)
    cosines = np.where(among == token, -np.inf, table[among] @ table[token] / norms)
    best = np.argsort(-cosines, kind="stable")[: min(count, len(among) - 1)]
    return [(int(among[place]), float(cosines[place])) for place in best]


def neighbours_of_frequent_words(
    table: np.ndarray, corpus: Corpus, words: Sequence[str]
) -> list[tuple[str, list[tuple[str, float]]]]:
    """Some frequent words, each with its nearest words and their cosines.

    As in the textbook (6.3.3) they are 16 of about the 100 most frequent, with 8 neighbours: every sixth of those that
    hold a letter or a digit.
    """
    known = corpus.known()
    known = known[np.argsort(-corpus.counts[known], kind="stable")]
    frequent = [int(token) for token in known if any(map(str.isalnum, words[token]))][:SHOWN_AMONG]
    step = max(1, len(frequent) // SHOWN_WORDS)
    return [(words[token], [(words[other], cosine) for other, cosine in nearest(table, token, known, NEIGHBOURS)])
            for token in frequent[::step][:SHOWN_WORDS]]


def write_report(path: pathlib.Path, corpus: Corpus, settings: Settings, losses: Sequence[float],
                 neighbours: Sequence, data: str, output: str) -> None:
    """Writes a page with the sizes, the course of the loss and the neighbours.

    Args:
        path: of the page; one that is there is replaced.
        corpus: what was read.
        settings: how.
        losses: one an epoch.
        neighbours: of `neighbours_of_frequent_words`.
        data, output: the data directory and the file of vectors as the user named them.
    """
    # The SVG is made by an XML serialiser, which has escaped what is in it.
    curve = Markup(plots.learning_curves({"loss": losses}))
    text = environment().get_template("pretrain.html.j2").render(
        corpus=corpus, settings=settings, losses=losses, neighbours=neighbours, data=data, output=output, curve=curve)
    write_files(path.parent, {path.name: text})
