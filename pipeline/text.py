"""Text to tokens, with core TensorFlow operations alone, so that the SavedModel needs no others.

A tokenizer first *spaces* a text: tokens with one space between them, nothing else. Splitting that is then the same for
TensorFlow (`tf.strings.split`) and Arrow, which does it for whole buckets.
"""

from collections.abc import Callable

import tensorflow as tf

# Where full-width ASCII starts and ends, and how far it lies from ASCII.
FULL_WIDTH_FIRST, FULL_WIDTH_LAST, FULL_WIDTH_SHIFT = 0xFF01, 0xFF5E, 0xFEE0
FULL_WIDTH = r"[\x{FF01}-\x{FF5E}]"

# Characters that are tokens of their own: scripts written without spaces, and whatever is no letter, digit or mark.
ALONE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]|[^\p{L}\p{N}\p{M}\p{Z}\p{Cc}\s_]"
# Format marks, and NUL, at which tf.strings.lower ends a text.
INVISIBLE = r"[\p{Cf}\x00]"
BLANK = r"\p{Z}\p{Cc}\s"
# Every run of blanks but a single plain space, which stands in almost every place: passing it over saves half the time.
ODD_BLANKS = (
    rf"[{BLANK}]{{2,}}"
    r"|[\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\p{Cc}]"
)


def _fold_full_width(texts: tf.Tensor) -> tf.Tensor:
    """Full-width ASCII as ASCII; only the texts that have any are taken apart."""
    rows = tf.where(tf.strings.regex_full_match(texts, rf"(?s).*{FULL_WIDTH}.*"))

    def fold() -> tf.Tensor:
        codes = tf.strings.unicode_decode(tf.gather_nd(texts, rows), "UTF-8")
        full_width = (codes.values >= FULL_WIDTH_FIRST) & (codes.values <= FULL_WIDTH_LAST)
        folded = codes.with_values(tf.where(full_width, codes.values - FULL_WIDTH_SHIFT, codes.values))
        return tf.tensor_scatter_nd_update(texts, rows, tf.strings.unicode_encode(folded, "UTF-8"))

    return tf.cond(tf.size(rows) > 0, fold, lambda: texts)


def _fold_case(texts: tf.Tensor) -> tf.Tensor:
    """Lower case without full-width ASCII and invisible characters."""
    return tf.strings.lower(tf.strings.regex_replace(_fold_full_width(texts), INVISIBLE, ""), encoding="utf-8")


def _single_spaces(texts: tf.Tensor) -> tf.Tensor:
    return tf.strings.strip(tf.strings.regex_replace(texts, ODD_BLANKS, " "))


def space_unicode(texts: tf.Tensor) -> tf.Tensor:
    """Lower case, full-width ASCII folded; words, punctuation, and each Han, Kana or Hangul character a token."""
    return _single_spaces(tf.strings.regex_replace(_fold_case(texts), ALONE, r" \0 "))


def space_whitespace(texts: tf.Tensor) -> tf.Tensor:
    """What stands between blanks, as it is."""
    return _single_spaces(texts)


def space_char(texts: tf.Tensor) -> tf.Tensor:
    """Lower case, full-width ASCII folded; each character that is no blank a token."""
    return _single_spaces(tf.strings.regex_replace(_fold_case(texts), rf"[^{BLANK}]", r" \0 "))


TOKENIZERS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "unicode": space_unicode,
    "whitespace": space_whitespace,
    "char": space_char,
}


def tokenize(texts: tf.Tensor, tokenizer: str, max_tokens: int) -> tf.RaggedTensor:
    """The tokens of each text.

    Args:
        texts: string [B].
        tokenizer: a key of `TOKENIZERS`.
        max_tokens: the most tokens of a text; what follows is cut off.

    Returns:
        Ragged string [B, (tokens)].
    """
    return tf.strings.split(TOKENIZERS[tokenizer](texts))[:, :max_tokens]


def compile_spacer(tokenizer: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """The spacing of a tokenizer as one compiled function of strings [B]."""
    return tf.function(TOKENIZERS[tokenizer], input_signature=[tf.TensorSpec([None], tf.string)])
