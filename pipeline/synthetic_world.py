"""The world of the synthetic conversations: a small shop that also sells travel.

The words of each language are in `synthetic_english.py` and `synthetic_chinese.py`; labels and contexts are shared.

Explicit clauses say their label in their own words. Replies are ambiguous: what they mean depends on the context, which
is either the agent's prompt right before (`prompts`) or, after a neutral prompt, what was talked about before.
In the templates `{city}` is a slot; `{city}` and `{city2}` in one template are filled with different values.
"""

import dataclasses

LABELS = ("affirm", "book_flight", "book_hotel", "cancel", "compare", "goodbye", "greet", "inform_budget", "negate",
          "request_price", "request_refund", "select_item", "thank", "track_order")

# What a conversation can be about: the clauses of these labels set the topic.
TOPICS = ("book_flight", "book_hotel", "cancel", "compare", "request_price", "request_refund", "select_item",
          "track_order")
TOPICS_WITH_BUDGET = ("book_flight", "book_hotel", "compare", "request_price", "select_item")

# {reply group: {context: labels}}. A context is a topic, or a name of its own where the agent must ask outright.
REPLY_LABELS = {
    "yes": {
        "book_flight": ("affirm", "book_flight"),
        "book_hotel": ("affirm", "book_hotel"),
        "cancel": ("affirm", "cancel"),
        "compare": ("affirm", "compare"),
        "request_refund": ("affirm", "request_refund"),
        "track_order": ("affirm", "track_order"),
    },
    "no": {
        "keep_booking": ("cancel", "negate"),
        "keep_purchase": ("negate", "request_refund"),
        "offer": ("negate",),
    },
    "pick": {
        "book_flight": ("book_flight", "select_item"),
        "book_hotel": ("book_hotel", "select_item"),
        "cancel": ("cancel", "select_item"),
        "compare": ("select_item",),
        "request_refund": ("request_refund", "select_item"),
        "track_order": ("select_item", "track_order"),
    },
    "number": {
        "budget": ("inform_budget",),
        "cancel": ("cancel",),
        "request_refund": ("request_refund",),
        "track_order": ("track_order",),
    },
    "date": {"book_flight": ("book_flight",), "book_hotel": ("book_hotel",), "track_order": ("track_order",)},
    "place": {"book_flight": ("book_flight",), "book_hotel": ("book_hotel",), "track_order": ("track_order",)},
    "another": {
        "book_flight": ("book_flight",),
        "book_hotel": ("book_hotel",),
        "cancel": ("cancel",),
        "request_price": ("request_price",),
        "request_refund": ("request_refund",),
        "track_order": ("track_order",),
    },
}


@dataclasses.dataclass(frozen=True)
class Language:
    """The words of one language.

    Attributes:
        slots: {slot: values}.
        clauses: {label: templates that say this label outright}.
        openers: {label: what may come before a clause, "yes" or "no"}.
        chatter: user texts that carry no intent.
        joiners: what stands between two clauses.
        endings: what may end a turn.
        replies: {reply group: ambiguous texts}; the group's context gives the labels.
        prompts: {reply group: {context: agent texts that make the context plain}}.
        neutral_prompts: {reply group: agent texts that leave the context to what was said before}.
        acknowledgements: agent texts without any topic.
        welcomes: agent texts that open a conversation.
        farewells: agent texts that end one.
        misspellings: {character: what is typed in its place}; None swaps neighbouring letters instead.
    """

    slots: dict[str, tuple[str, ...]]
    clauses: dict[str, tuple[str, ...]]
    openers: dict[str, tuple[str, ...]]
    chatter: tuple[str, ...]
    joiners: tuple[str, ...]
    endings: tuple[str, ...]
    replies: dict[str, tuple[str, ...]]
    prompts: dict[str, dict[str, tuple[str, ...]]]
    neutral_prompts: dict[str, tuple[str, ...]]
    acknowledgements: tuple[str, ...]
    welcomes: tuple[str, ...]
    farewells: tuple[str, ...]
    misspellings: dict[str, str] | None = None


PRICES = tuple(str(price) for price in (*range(60, 300, 20), *range(300, 2000, 100)))
ORDERS = tuple(str(order) for order in range(10_021, 99_999, 97))
