"""What must never be kept about a person, by the name of its field or by the look of its value. Pure.

This is the second wall: attributes are an allow-list already. It stands because people define attributes in a
hurry and map columns by hand.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from functools import lru_cache


def word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that make a field name secret by themselves …
_SECRET_WORDS = word_set(
    """password passwd passphrase passcode pwd ssn ein itin nino iban bic cvv cvc wallet mnemonic otp totp
    jwt passport secret secrets token tokens credential credentials crypto"""
)
# … or only when they are the whole name: a shop sells rolling pins, biscuit tins and pans.
_SECRET_ALONE = frozenset({"pin", "tin", "pan", "sin", "pw", "swift", "cvv2", "cvc2", "bankpin", "cardpin"})
# … and pairs that do so together, in this order.
_SECRET_PAIRS = (
    ("social", "security"), ("national", "insurance"), ("national", "id"), ("tax", "id"), ("tax", "number"),
    ("card", "number"), ("card", "no"), ("card", "num"), ("card", "expire"), ("card", "expiry"), ("card", "code"),
    ("credit", "card"), ("debit", "card"), ("account", "number"), ("account", "no"), ("bank", "account"),
    ("sort", "code"), ("routing", "number"), ("private", "key"), ("secret", "key"), ("api", "key"),
    ("access", "key"), ("seed", "phrase"), ("recovery", "phrase"), ("recovery", "code"), ("security", "code"),
    ("security", "answer"), ("security", "question"), ("driver", "licence"), ("driver", "license"),
    ("driving", "licence"), ("driving", "license"), ("drivers", "license"), ("drivers", "licence"),
    ("session", "id"), ("session", "key"), ("pin", "code"), ("pin", "number"),
    ("employer", "identification"), ("health", "insurance"),
)  # fmt: skip
_RUN_TOGETHER = frozenset("".join(pair) for pair in _SECRET_PAIRS)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*(PRIVATE KEY|CERTIFICATE)|\bPuTTY-User-Key")
_ETHEREUM = re.compile(r"\b0x[0-9a-fA-F]{40,64}\b")
_HEX_KEY = re.compile(r"\b[0-9a-fA-F]{64}\b")
_BECH32 = re.compile(r"\b(?:bc1|ltc1|tb1)[02-9ac-hj-np-z]{25,80}\b", re.IGNORECASE)
_BASE58 = re.compile(r"\b[123LKxrT5DMN][1-9A-HJ-NP-Za-km-z]{24,51}\b")
_TOKEN = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{8,}|\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{16,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[\w-]{10,}|\$2[aby]\$\d\d\$|\$argon2"
)
_CARD = re.compile(r"(?<![\d.])(?:\d[ -]?){12,18}\d(?![\d.])")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}\b")
_SSN = re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")
_NINO = re.compile(r"\b[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b")


@lru_cache(maxsize=10_000)
def is_secret_name(name: str) -> bool:
    """Does a field of this name (snake_case, camelCase, dotted, spaced) hold what must not be kept?"""
    words = [word.lower() for word in _WORD.findall(name.replace("'", "").replace("’", ""))]
    if any(word in _SECRET_WORDS or word in _RUN_TOGETHER for word in words):
        return True
    if "".join(words) in _SECRET_ALONE:
        return True
    following = list(itertools.pairwise(words))
    return any(pair in following for pair in _SECRET_PAIRS)


def secret_in(text: str) -> str:
    """What kind of secret the text looks like ("a card number", …), or "" for none. Never quotes the text."""
    if len(text) < 9:
        return ""
    if _PRIVATE_KEY.search(text) or _HEX_KEY.search(text):
        return "a private key"
    if _TOKEN.search(text):
        return "an access token"
    if _ETHEREUM.search(text) or _BECH32.search(text):
        return "a wallet address"
    if any(_base58_checks(found.group()) for found in _BASE58.finditer(text)):
        return "a wallet address"
    if any(_is_card(found.group()) for found in _CARD.finditer(text)):
        return "a card number"
    if any(_iban_in(found.group()) for found in _IBAN.finditer(text)):
        return "an account number"
    if _SSN.search(text) or _NINO.search(text):
        return "a social security number"
    return ""


def _is_card(text: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1) on a number that starts like a payment card's."""
    digits = [int(character) for character in text if character.isdigit()]
    if digits[0] not in (2, 3, 4, 5, 6) or not 13 <= len(digits) <= 19:
        return False
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban_in(text: str) -> bool:
    """ISO 13616: the rearranged number is 1 modulo 97. Words may follow it, so shorter heads are tried too."""
    packed = text.replace(" ", "").upper()
    return any(_mod_97(packed[:length]) for length in range(min(34, len(packed)), 14, -1))


def _mod_97(iban: str) -> bool:
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


_ALPHABET = {
    character: value
    for value, character in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}


def _base58_checks(text: str) -> bool:
    """A Base58Check string (Bitcoin, Litecoin, Dogecoin, Tron addresses and keys) carries its own checksum."""
    number = 0
    for character in text:
        number = number * 58 + _ALPHABET[character]
    raw = number.to_bytes(max(25, (number.bit_length() + 7) // 8), "big")
    payload, checksum = raw[:-4], raw[-4:]
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4] == checksum
