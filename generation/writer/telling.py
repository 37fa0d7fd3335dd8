"""A trait told to the reader in the plainest words: "buys tea" becomes "you buy tea".

Only where it is certain: English notes about people come in too many shapes to bend them all by rule, and a wrong
sentence is worse than none. What cannot be told for certain gives "".
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLURAL = {
    "has": "have", "is": "are", "was": "were", "does": "do", "goes": "go", "hasn't": "haven't", "isn't": "aren't",
    "doesn't": "don't", "wasn't": "weren't",
}  # fmt: skip
# Third persons and past forms that notes about customers begin with; nouns of the same spelling are left out.
_PRESENT = _words(
    """likes works lives runs buys owns wants shops comes prefers orders keeps travels uses drives brings reads follows
    dislikes plans cooks sends walks takes makes needs manages collects gives sells plays books worries teaches asks
    drinks cares pays rides loves gets looks enjoys writes wears swims shares bakes visits leads rents knows starts
    hosts organises organizes forgets grows listens misses flies opens watches eats photographs finds spends checks
    cycles hates sits climbs saves paints waits lets gardens replies avoids sleeps feels commutes leaves stays finishes
    changes loses learns sings charges dines parks carries skis employs answers studies arrives renews hires feeds
    exports adds prints puts packs crosses sails speaks meets builds sees remembers expects practises practices knits
    talks tries tends grinds volunteers drops reorders streams texts holds wakes receives handles publishes delivers
    counts helps belongs camps thinks sews serves says shoots hangs signs relies chases coaches edits hopes repairs
    alternates adjusts downloads uploads browses searches compares mends restores breeds raises attends joins fishes
    hikes jogs draws sketches weaves spins brews"""
)
_PAST = _words(
    """bought asked left looked had came stopped used moved ordered joined gave started signed booked sent took
    cancelled visited missed got saved found finished lost opened sold stayed hired let went chose liked
    paused began ran saw tried did inherited put compared brought changed turned received closed walked rented
    learned learnt paid broke filled kept agreed listened ended played made adopted heard held uploaded
    dropped swam returned grew viewed forgot enjoyed passed picked became sailed attended rode told added
    emptied washed downloaded switched checked requested followed loved wrote disliked worked subscribed
    skipped flew drove planted watched read met collected complained wore drank ate slept searched browsed
    registered renewed borrowed donated recommended referred won spent cooked baked wondered"""
)
_MODAL = frozenset(("can", "cannot", "can't", "may", "would", "will", "could"))
_ADVERB = _words(
    "always often never usually still now just recently once rarely mostly only also sometimes regularly"
)
_STATE = _words(
    """free unsure nervous tired curious undecided retired vegan vegetarian self-employed interested fond new careful
    responsible worried afraid cautious keen busy happy ready able allergic based"""
)
_KIN = _words(
    """daughter son child children parents partner sister brother mother father wife husband dog cat family clients
    staff team customers pupils house flat garden battery lease plan membership subscription birthday neighbour
    neighbor"""
)


_DOING = _words(
    """looking planning comparing buying moving expecting thinking hosting coming learning getting going travelling
    traveling visiting trying staying recovering searching restoring growing shopping saving working renovating
    decorating hoping waiting starting preparing organising organizing"""
)
_OWN = {
    "his": "your",
    "her": "your",
    "their": "your",
    "himself": "yourself",
    "herself": "yourself",
    "themselves": "yourself",
}


def to_you(trait: str) -> str:
    """The trait as a clause that begins with "you" or "your"; "" where no rule is certain."""
    clause = _clause(trait)
    if any(word in ("is", "has", "was", "does") for word in clause.split()[1:5]) and not clause.startswith(
        "your "
    ):
        return ""  # another subject came in: "new street is now on the network"
    return re.sub(r"\b(?:his|her|their|himself|herself|themselves)\b", lambda m: _OWN[m.group(0)], clause)


def _clause(trait: str) -> str:
    words = trait.strip().rstrip(".").split()
    if not words:
        return ""
    first, rest = words[0].lower(), words[1:]
    if first in _ADVERB and rest:
        clause = _clause(" ".join(rest))
        return (
            f"you {first} {clause[4:]}"
            if clause.startswith("you ") and " are " not in f" {clause[4:8]}"
            else ""
        )
    if first in _PAST or first in _MODAL:
        return f"you {first} {' '.join(rest)}".strip() if rest else ""
    if first in _PLURAL or first in _PRESENT:
        return f"you {_base(first)} {' '.join(rest)}".strip() if rest else ""
    if first in _STATE or (first in _DOING and rest):
        return f"you are {' '.join([first, *rest])}"
    if first in ("a", "an") and rest:
        return f"you are {' '.join([first, *rest])}"
    if first == "not" and rest and _clause(" ".join(rest)).startswith("you are "):
        return f"you are not {' '.join(rest)}"
    if first in _KIN and rest and (rest[0].lower() in _PRESENT | _PAST | _PLURAL.keys() | _MODAL):
        return f"your {' '.join([first, *rest])}"
    return ""


def _base(verb: str) -> str:
    if verb in _PLURAL:
        return _PLURAL[verb]
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    if re.search(r"(?:ss|sh|ch|x|zz)es$", verb):
        return verb[:-2]
    return verb[:-1]


def topic(trait: str) -> str:
    """What a trait is about, as a title: "bought a moka pot in spring" becomes "a moka pot in spring"; else ""."""
    found = re.sub(
        r"^(?:has |have |is |was )?(?:not )?(?:bought|likes|loves|looked at|left|asked about|asked for|"
        r"used to (?:buy|order)|buys|orders|looking for|interested in|"
        r"prefers|owns|visits|uses|wants|needs|lives (?:near|in)|searching for|been looking at)\s+",
        "",
        trait,
        flags=re.IGNORECASE,
    )
    return found if found != trait and len(found.split()) <= 7 else ""
