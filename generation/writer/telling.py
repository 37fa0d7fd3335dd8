"""A trait told to the reader in the plainest words: "buys tea" becomes "you buy tea".

Only where it is certain: English notes about people come in too many shapes to bend them all by rule, and a wrong
sentence is worse than none. What cannot be told for certain gives "".
"""

from __future__ import annotations

import re

from generation.writer.sentences import word_set

_PLURAL = {
    "has": "have", "is": "are", "was": "were", "does": "do", "goes": "go", "hasn't": "haven't", "isn't": "aren't",
    "doesn't": "don't", "wasn't": "weren't",
}  # fmt: skip
# Third persons and past forms that notes about customers begin with; nouns of the same spelling are left out.
_PRESENT = word_set(
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
_PAST = word_set(
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
_ADVERB = word_set(
    "always often never usually still now just recently once rarely mostly only also sometimes regularly"
)
_STATE = word_set(
    """free unsure nervous tired curious undecided retired vegan vegetarian self-employed interested fond new careful
    responsible worried afraid cautious keen busy happy ready able allergic based"""
)
_AFTER_STATE = word_set(
    "about of to in from with for at on that whether by and or if when most every this until after again now here"
)
_KIN = word_set(
    """daughter son child children parents partner sister brother mother father wife husband dog cat family clients
    staff team customers pupils house flat garden battery lease plan membership subscription birthday neighbour
    neighbor"""
)


_DOING = word_set(
    """looking planning comparing buying moving expecting thinking hosting coming learning getting going travelling
    traveling visiting trying staying recovering searching restoring growing shopping saving working renovating
    decorating hoping waiting starting preparing organising organizing"""
)
_DANGLING = re.compile(
    r"(?!.*\b(?:and|but|or|that|who|which|when|if)\b.*\b(?:it|them)\b).*\b(?:it|them)\b", re.IGNORECASE
)
# After these, what follows an "and" is more often another thing ("likes runs and walks") than another deed.
_HAVING = word_set("like love enjoy prefer want need buy dislike hate order collect own")
_SECOND_VERB = re.compile(r"((?:^you|\s)[^,;]*?\s(?:and|but|or) )([a-z']+)\b(?=\s)")
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
    if _DANGLING.match(trait):
        return ""  # "asked support about it": about what, only another note says
    clause = _clause(trait)
    if any(word in ("is", "has", "was", "does") for word in clause.split()[1:5]) and not clause.startswith(
        "your "
    ):
        return ""  # another subject came in: "new street is now on the network"
    basket = re.match(r"you are (an? .+) (left in the (?:basket|cart|trolley|bag))$", clause)
    if basket:
        return f"you left {basket[1]} {basket[2].removeprefix('left ')}"
    if clause.startswith("you ") and clause.split()[1] not in _HAVING:
        clause = _SECOND_VERB.sub(
            lambda m: f"{m[1]}{_base(m[2])}" if m[2] in _PRESENT | _PLURAL.keys() else m[0], clause
        )
    if re.match(r"you are an? ", clause) and _has_verb(clause.split()[3:]):
        return ""  # "an elder son finished school last summer": not the reader
    return _to_reader(clause)


def _has_verb(words: list[str]) -> bool:
    """Whether a noun phrase goes on to say what somebody does, other than by "who" or after a place or a time."""
    for at, word in enumerate(words):
        if word in ("who", "that", "which", "at", "in", "of", "on", "for", "with", "and", "from", "by", "to"):
            return False
        if at and word in _PRESENT | _PAST | _MODAL | _PLURAL.keys():
            return True
    return False


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
    if first in _STATE and rest and rest[0].lower() not in _AFTER_STATE:
        return ""  # "self-employed electrician"
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


# What a note begins with, and how a title says the same to the reader; `{}` takes the thing, the rest of the note up to
# how, when or where it was had.
_THINGS: tuple[tuple[str, str], ...] = (
    (r"(?:bought|owns|has bought|ordered|reserved|booked|rents)", "your {}"),
    (r"left(?=\s.* in (?:the|a|his|her|their) (?:basket|cart|trolley|bag))", "the {} in your basket"),
)
# The same for the whole rest of the note.
_TITLES: tuple[tuple[str, str], ...] = (
    (r"(?:likes|loves|enjoys|is fond of|fond of)", "If you like {}"),
    (r"prefers", "If you prefer {}"),
    (r"(?:is |has been )?(?:looking for|searching for|wants|looks for|searched for)", "Looking for {}?"),
    (r"(?:is )?interested in", "If {} interests you"),
    (r"(?:is )?new to", "New to {}?"),
    (r"(?:has |has been |is )?(?:looked at|looking at|viewed|browsed)", "You looked at {}"),
)
_ARTICLES = re.compile(r"^(?:an?|some|the|one) ", re.IGNORECASE)
# Where a thing ends and how, when or where it was had begins.
_TAIL = re.compile(
    r"[,;]?\s(?:in|on|at|as|some|last|for|with|from|this|during|every|most|when|before|after|by|to|and|but|once|"
    r"twice|a (?:few|while|month|year|week)|(?:two|three|several|many) (?:years|months|weeks|times)|earlier|recently|"
    r"again|together|through|since|because|while|whenever|instead|early|late|online|already)\b.*$",
    re.IGNORECASE,
)
_PRONOUNS = re.compile(r"\b(?:it|them|this|that|these|those|there|one)$", re.IGNORECASE)
_NO_THING = word_set(
    "to from for at in on with online often every twice once again several many most few more less"
)


def title(trait: str) -> str:
    """The trait as a title to the reader: "owns a diving watch" becomes "your diving watch"; "" if none is sure."""
    trait = trait.strip().rstrip(".")
    for beginning, pattern in (*_THINGS, *_TITLES):
        found = re.match(rf"{beginning}\s+(?=\S)", trait, re.IGNORECASE)
        if found is None:
            continue
        rest = _to_reader(trait[found.end() :])
        if not rest or len(rest.split()) > 8 or _PRONOUNS.search(rest) or rest.split()[0] in _NO_THING:
            return ""
        if (beginning, pattern) in _THINGS:
            rest = _TAIL.sub("", _ARTICLES.sub("", rest))
        return "" if not rest or rest.startswith("our ") else pattern.format(rest)
    told = to_you(trait)
    return told if len(told.split()) <= 8 and not told.startswith(("you have not", "you are ")) else ""


def _to_reader(text: str) -> str:
    return re.sub(r"\b(?:his|her|their|himself|herself|themselves)\b", lambda m: _OWN[m.group(0)], text)
