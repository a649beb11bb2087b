"""One synthetic conversation: who says what, with which labels, and whether the labels need the history."""

import dataclasses
import random
import re

from pipeline.synthetic_chinese import CHINESE
from pipeline.synthetic_english import ENGLISH
from pipeline.synthetic_world import REPLY_LABELS, TOPICS, TOPICS_WITH_BUDGET, Language

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}

# A reply after a neutral prompt refers to a topic at most this many turns back: the trainer's windows hold no more.
HISTORY_TURNS = 5

_SLOT = re.compile(r"\{([a-z]+)\d?\}")
_LONG_WORD = re.compile(r"[a-z]{5,}")


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One turn without its place in time.

    Attributes:
        speaker: `user` or `agent`.
        text: what is said.
        labels: sorted intents of a user turn; None for the agent.
        needs_history: the same text bears other labels in another context.
    """

    speaker: str
    text: str
    labels: tuple[str, ...] | None = None
    needs_history: bool = False


@dataclasses.dataclass(frozen=True)
class _Topic:
    """What is being talked about, None when it is unclear, and the turn that last said so."""

    name: str | None = None
    turn: int = 0


def fill(template: str, language: Language, rng: random.Random) -> str:
    """Fills the slots of a template; no value is used twice."""
    used = set()

    def value(match: re.Match) -> str:
        chosen = rng.choice([value for value in language.slots[match[1]] if value not in used])
        used.add(chosen)
        return chosen

    return _SLOT.sub(value, template)


def converse(rng: random.Random, language: Language, user_turns: int, needing_history: set[int]) -> list[Utterance]:
    """Makes one conversation.

    Args:
        rng: decides everything else.
        language: the words.
        user_turns: number of user turns, all of them labelled.
        needing_history: which of the user turns can't be told without the history; turn 0 has none and can't be one.

    Returns:
        The turns in order: user turns with an agent's turn between any two, at times one before and one after.
    """
    talk = [Utterance("agent", rng.choice(language.welcomes))] if rng.random() < 0.3 else []
    topic = _Topic()
    for place in range(user_turns):
        if place in needing_history:
            said, topic = _ask_and_reply(rng, language, topic, len(talk))
            talk += said
            continue
        if place > 0:
            talk.append(Utterance("agent", rng.choice(language.acknowledgements)))
        labels = _labels_to_say(rng, first=place == 0, last=place == user_turns - 1)
        topics = [label for label in labels if label in TOPICS]
        if topics:
            topic = _Topic(topics[0] if len(topics) == 1 else None, len(talk))
        talk.append(Utterance("user", _say(rng, language, labels), tuple(sorted(labels))))
    if rng.random() < 0.5:
        talk.append(Utterance("agent", rng.choice(language.farewells)))
    return talk


def _ask_and_reply(
    rng: random.Random, language: Language, topic: _Topic, turn: int
) -> tuple[list[Utterance], _Topic]:
    """The agent's prompt, which becomes turn `turn`, the user's ambiguous reply, and the topic after them."""
    recent = topic.turn > turn - HISTORY_TURNS
    neutral = [group for group in language.neutral_prompts if recent and topic.name in REPLY_LABELS[group]]
    if neutral and rng.random() < 0.6:
        group = rng.choice(neutral)
        context, prompts = topic.name, language.neutral_prompts[group]
    else:
        group = rng.choice(list(REPLY_LABELS))
        context = rng.choice(list(REPLY_LABELS[group]))
        prompts = language.prompts[group][context]
        topic = _Topic(context if context in TOPICS else None, turn)
    prompt = Utterance("agent", fill(rng.choice(prompts), language, rng))
    reply = Utterance("user", rng.choice(language.replies[group]), REPLY_LABELS[group][context], needs_history=True)
    return [prompt, reply], topic


def _labels_to_say(rng: random.Random, first: bool, last: bool) -> list[str]:
    """The intents of a turn that speaks for itself, in the order they are said; empty for chatter."""
    if last:
        ending = rng.choice((["thank"], ["goodbye"], ["thank", "goodbye"]))
        return (["negate"] if rng.random() < 0.3 else []) + ending
    if not first:
        small_talk = rng.random()
        if small_talk < 0.08:
            return []
        if small_talk < 0.14:
            return ["thank"]
        if small_talk < 0.26:
            return ["inform_budget"]
    topic = rng.choice(TOPICS)
    labels = [topic]
    if topic in TOPICS_WITH_BUDGET and rng.random() < 0.3:
        labels.append("inform_budget")
    elif rng.random() < 0.1:
        labels.append(rng.choice([other for other in TOPICS if other != topic]))
    if rng.random() < 0.1:
        labels.append("thank")
    if first:
        return ["greet", *labels] if rng.random() < 0.6 else labels
    return [rng.choice(("affirm", "negate")), *labels] if rng.random() < 0.3 else labels


def _say(rng: random.Random, language: Language, labels: list[str]) -> str:
    """Words for the intents, in their order, with the slips of people who type."""
    if not labels:
        text = rng.choice(language.chatter)
    else:
        clauses = [rng.choice(language.openers.get(label) or language.clauses[label]) for label in labels]
        text = fill(clauses[0], language, rng)
        for clause in clauses[1:]:
            text += rng.choice(language.joiners) + fill(clause, language, rng)
    text += rng.choice(language.endings)
    if rng.random() < 0.06:
        text = _misspell(rng, language, text)
    return text[:1].upper() + text[1:] if rng.random() < 0.5 else text


def _misspell(rng: random.Random, language: Language, text: str) -> str:
    """Makes one typing mistake, where the text has a place for it."""
    if language.misspellings is not None:
        places = [place for place, character in enumerate(text) if character in language.misspellings]
        if not places:
            return text
        place = rng.choice(places)
        return text[:place] + language.misspellings[text[place]] + text[place + 1:]
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text
    word = rng.choice(words)
    place = rng.randrange(word.start() + 1, word.end() - 2)
    return text[:place] + text[place + 1] + text[place] + text[place + 2:]
