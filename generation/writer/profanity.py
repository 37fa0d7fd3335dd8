"""Words no brand sends by accident: a short list of our own, whole words only, so that Scunthorpe, cockerel, shiitake
and a Dickens novel stay what they are.

Two grades. STRONG is never right unless the campaign says it itself. MILD is right for some brands ("bloody good
pies") and worth a second look for all. Words with an honest meaning of their own (tits are birds, faggots a dish,
dough is retarded overnight) are MILD at most or left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_STRONG = (
    r"(?:mother)?f+u+c+k+(?:s|ed|er|ers|ing|in|up|wit|wits|face|head)?|(?:bull|horse|dip|bat)?shit(?:s|ty|ted|ting|"
    r"face|faced|head|heads|hole|show)?|cunts?|twats?|wank(?:s|ed|er|ers|ing)?|bollocks|arseholes?|assholes?|"
    r"dick(?:heads?|less)|cock(?:suckers?|sucking)|bastards?|bitch(?:es|ing|y)|sluts?|slutty|whores?|"
    r"jizz|cum(?:shots?|slut)|blow ?jobs?|hand ?jobs?|gang ?bangs?|porno?|pussies|titties|boners?|"
    r"nigg(?:er|ers|a|as)|spastics?|trann(?:y|ies)|kikes?|spics?|gooks?|"
    r"wetbacks?|paki(?:s)?|chinks?(?= (?:eyes?|food|shop))|raghead[s]?|golliwogs?|"
    r"rapists?|rap(?:ed|ing)|paedo(?:s|philes?)?|pedo(?:s|philes?)?|kill yourself|heil hitler"
)
_MILD = (
    r"bloody|damn(?:ed|it)?|goddamn|bugger(?:ed|s|ing|y)?|arse[ds]?|ass|crap(?:py|s)?|piss(?:ed|es|ing)?|"
    r"bitch|sod (?:off|it|all)|what the hell|hell of|hell yes|screw you|screw it|sucks ass|douche(?:bag)?s?|"
    r"boobs?|knobheads?|prats?|tossers?|retard(?:s|ed)?|faggots?"
)
_PATTERNS = (
    ("words.profane", True, re.compile(rf"(?<![\w-])(?:{_STRONG})(?![\w-])", re.IGNORECASE)),
    ("words.coarse", False, re.compile(rf"(?<![\w-])(?:{_MILD})(?![\w-])", re.IGNORECASE)),
)


def find(text: str) -> Iterator[tuple[str, bool, int, int]]:
    """(rule, strong, start, end) of every such word."""
    for rule, strong, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield rule, strong, match.start(), match.end()
