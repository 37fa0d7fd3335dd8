"""One value from outside to its normal form, or a Problem that says what to do. Pure: no database.

No message quotes a value: problems are stored and shown, and a value may be anything.
"""

from __future__ import annotations

import re
import unicodedata
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from campaigns.sensitive import is_secret_name, secret_in, word_set

MAX_TEXT = 200  # characters of a text attribute or event property


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field and what to do. `refuses`: the whole item cannot be kept because of it."""

    field: str
    message: str
    refuses: bool = True


class Unusable(ValueError):
    """A value has no normal form. The message is for people and does not quote it."""


class WithoutCountry(Unusable):
    """A telephone number that may be right, in a country nobody named."""


def plain(text: str) -> str:
    """Unicode NFC, control and invisible characters gone, white space single."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = "".join(
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFC", text)
        if character.isspace() or unicodedata.category(character)[0] != "C"
    )
    return " ".join(kept.split())


# -- addresses ---------------------------------------------------------------------------------------
_SIMPLE_EMAIL = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
_BAD_EMAIL = "is not an e-mail address: correct it or leave it empty"


def email(text: str) -> str:
    """The address in its normal form, internationalised domains in ASCII. Nobody is asked over the network."""
    text = text.strip()
    # Ordinary addresses need only their domain checked, and domains repeat: ten times faster on lists.
    simple = _SIMPLE_EMAIL.fullmatch(text)
    if simple and len(simple[1]) <= 64 and len(text) <= 254:
        return f"{simple[1]}@{_domain(simple[2])}"
    return _checked_email(text)


@lru_cache(maxsize=20_000)
def _domain(domain: str) -> str:
    return _checked_email(f"a@{domain}").partition("@")[2]


def _checked_email(text: str) -> str:
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        if "special-use" in str(error):
            raise Unusable("ends in a name that no mail reaches, such as .test: correct it") from None
        if "Internationalized" in str(error):
            raise Unusable("has letters outside a-z before the @, which many servers refuse") from None
        raise Unusable(_BAD_EMAIL) from None
    address = found.ascii_email or found.normalized
    if len(found.local_part) > 64:
        raise Unusable("has more than the 64 characters that may stand before the @")
    if len(address) > 254:
        raise Unusable("is longer than the 254 characters an e-mail address may have")
    return address


_COUNTRY_NAMES = {
    "united kingdom": "GB", "uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "eire": "IE", "ireland": "IE", "united states": "US", "usa": "US", "u.s.a.": "US",
    "united states of america": "US", "canada": "CA", "australia": "AU", "new zealand": "NZ", "germany": "DE",
    "deutschland": "DE", "france": "FR", "spain": "ES", "españa": "ES", "italy": "IT", "italia": "IT",
    "portugal": "PT", "netherlands": "NL", "nederland": "NL", "holland": "NL", "belgium": "BE",
    "luxembourg": "LU", "switzerland": "CH", "schweiz": "CH", "austria": "AT", "österreich": "AT",
    "denmark": "DK", "sweden": "SE", "norway": "NO", "finland": "FI", "iceland": "IS", "poland": "PL",
    "czechia": "CZ", "czech republic": "CZ", "slovakia": "SK", "hungary": "HU", "romania": "RO",
    "bulgaria": "BG", "greece": "GR", "turkey": "TR", "türkiye": "TR", "ukraine": "UA", "russia": "RU",
    "india": "IN", "pakistan": "PK", "bangladesh": "BD", "sri lanka": "LK", "nepal": "NP", "china": "CN",
    "hong kong": "HK", "taiwan": "TW", "japan": "JP", "south korea": "KR", "korea": "KR", "vietnam": "VN",
    "thailand": "TH", "malaysia": "MY", "singapore": "SG", "indonesia": "ID", "philippines": "PH",
    "united arab emirates": "AE", "uae": "AE", "saudi arabia": "SA", "qatar": "QA", "kuwait": "KW",
    "oman": "OM", "bahrain": "BH", "jordan": "JO", "lebanon": "LB", "israel": "IL", "egypt": "EG",
    "morocco": "MA", "tunisia": "TN", "nigeria": "NG", "ghana": "GH", "kenya": "KE", "ethiopia": "ET",
    "south africa": "ZA", "brazil": "BR", "brasil": "BR", "argentina": "AR", "chile": "CL", "colombia": "CO",
    "peru": "PE", "mexico": "MX", "méxico": "MX",
}  # fmt: skip


def region(*, country: str = "", locale: str = "") -> str:
    """The two-letter region whose numbers need no +, or "" when nothing tells."""
    country = plain(country)
    if country:
        code = country.upper() if len(country) == 2 else _COUNTRY_NAMES.get(country.lower(), "")
        code = {"UK": "GB"}.get(code, code)
        if code in phonenumbers.SUPPORTED_REGIONS:
            return code
    code = re.split(r"[-_]", locale)[-1].upper() if "-" in locale or "_" in locale else ""
    return code if code in phonenumbers.SUPPORTED_REGIONS else ""


def phone(text: str, *, region: str = "") -> str:
    """E.164. Without a region only numbers written with + are understood: guessing would text a stranger.

    Numbers of the right length are taken though no provider serves them yet: ranges open faster than libraries
    learn of them.
    """
    try:
        number = phonenumbers.parse(plain(text), region or None)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not region:
            raise WithoutCountry(
                "has no country code, so it was left out: write it like +44…, or say which country it is in"
            ) from None
        raise Unusable("is not a telephone number: correct it or leave it empty") from None
    if number.extension:
        raise Unusable("has an extension, which no message reaches: leave it out")
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise Unusable("is too short or too long for a telephone number of its country: correct it")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


# -- who they are ------------------------------------------------------------------------------------
_MARKUP = re.compile(r"[<>{}\[\]\\|^%$#@;:=*_~/&]|\d|https?|www\.", re.IGNORECASE)
_BETWEEN_LETTERS = " -'’.·‐"


def name(text: str) -> str:
    """A person's name as it may stand in a greeting: letters and what joins them. Pictures and quotes go."""
    text = plain(text)
    if _MARKUP.search(text.lstrip("=+-@")):
        raise Unusable("holds markup or digits, so it was left out: a name is letters")
    kept = "".join(
        character
        for character in text
        if unicodedata.category(character)[0] in "LM" or character in _BETWEEN_LETTERS
    )
    kept = " ".join(kept.split()).strip(" -'’·‐")
    if not any(unicodedata.category(character)[0] == "L" for character in kept):
        raise Unusable("holds no letters, so it was left out")
    if len(kept) > 80:
        raise Unusable("is longer than 80 characters, so it was left out")
    return kept


def split_name(text: str) -> tuple[str, str]:
    """First and last name of a name in one piece: 'Last, First', else what stands before the first space."""
    last, comma, first = text.partition(",")
    if comma and first.strip():
        return first.strip(), last.strip()
    first, _, last = plain(text).partition(" ")
    # Pictures after a name are no last name, nor worth a word to anybody.
    return first, last if any(unicodedata.category(c)[0] in "LN" for c in last) else ""


_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?(?:\.[\w-]+)?")


def locale(text: str) -> str:
    """A language tag such as en-GB (RFC 5646: language, script, region)."""
    found = _LOCALE.fullmatch(text.strip())
    if not found:
        raise Unusable("is not a locale such as en-GB: correct it or leave it empty")
    language, script, area = found.groups()
    parts = (language.lower(), (script or "").title(), (area or "").upper())
    return "-".join(part for part in parts if part)


@lru_cache(maxsize=1)
def _time_zones() -> dict[str, str]:
    return {zone.lower(): zone for zone in zoneinfo.available_timezones()}


def time_zone(text: str) -> str:
    """A name of the IANA database, whatever its case."""
    zone = _time_zones().get(text.strip().replace(" ", "_").lower())
    if zone is None:
        raise Unusable("is not a time zone such as Europe/London: correct it or leave it empty")
    return zone


_ID = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,126}[^\s\x00-\x1f\x7f])?")


def identifier(text: str) -> str:
    """An id of the CRM's: 1 to 128 characters, no control characters."""
    text = text.strip()
    if not text:
        raise Unusable("is missing: each row needs one")
    if not _ID.fullmatch(text) or not text.isprintable():
        raise Unusable("is longer than 128 characters or holds characters that cannot be shown")
    return text


# -- values ------------------------------------------------------------------------------------------
_YES = word_set("""yes y true t 1 1.0 on x ✓ ja oui si sí sim given opted-in opt-in subscribed agreed""")
_NO = word_set("""no n false f 0 0.0 off nein non não withdrawn opted-out opt-out unsubscribed refused""")
_BOTH_WAYS = {"opted in": True, "opt in": True, "opted out": False, "opt out": False}


def boolean(text: str) -> bool:
    word = plain(text).lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    if word in _BOTH_WAYS:
        return _BOTH_WAYS[word]
    raise Unusable("is neither yes nor no: write yes, no or nothing")


def number(text: str) -> Decimal:
    """A decimal number; thousands separators and a currency sign are understood, 1.234,56 as well as 1,234.56."""
    bare = plain(text).strip("£$€¥₹ \u00a0").replace(" ", "").replace("’", "").replace("_", "")
    if "," in bare and "." in bare:
        thousands = "," if bare.rfind(".") > bare.rfind(",") else "."
        bare = bare.replace(thousands, "").replace(",", ".")
    elif bare.count(",") == 1 and not re.fullmatch(r"-?\d{1,3},\d{3}", bare):
        bare = bare.replace(",", ".")
    else:
        bare = bare.replace(",", "")
    try:
        value = Decimal(bare)
    except InvalidOperation:
        raise Unusable("is not a number: correct it or leave it empty") from None
    if not value.is_finite() or abs(value) >= Decimal(10) ** 10:
        raise Unusable("is too large or not a number")
    return value


_DATE_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d")
_TIME_FORMS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_SLASHED = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:,? (.+))?")


def moment(text: str, *, day_first: bool | None = None, zone: tzinfo = UTC) -> datetime:
    """A date or time, aware; without an offset it is in `zone`, a bare date is its noon.

    03/04/2024 means two days. It is refused unless `day_first` says which, or one number is over twelve.
    """
    text = plain(text)
    try:
        found = datetime.fromisoformat(text)
        if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text):
            found = found.replace(hour=12)
        return _sane(found if found.tzinfo else found.replace(tzinfo=zone))
    except ValueError:
        pass
    slashed = _SLASHED.fullmatch(text)
    if slashed and "." in text[:3]:
        day_first = True  # 05.06.2024 is written where the day comes first
    if slashed:
        a, b, year, clock = int(slashed[1]), int(slashed[2]), slashed[3], slashed[4]
        if day_first is None and a <= 12 and b <= 12 and a != b:
            raise Unusable("may mean two days: write 2024-04-03, or say whether the day comes first")
        day, month = (a, b) if (day_first if day_first is not None else a > 12 or a == b) else (b, a)
        if day > 12 and month > 12:
            raise Unusable("is not a date")
        if month > 12:
            day, month = month, day
        text = f"{year}-{month:02d}-{day:02d}" + (f" {clock}" if clock else "")
    for form in _DATE_FORMS:
        for clock_form in _TIME_FORMS:
            try:
                found = datetime.strptime(text, form + clock_form)
            except ValueError:
                continue
            return _sane(found.replace(tzinfo=zone, **({} if clock_form else {"hour": 12})))
    raise Unusable("is not a date or time: write it like 2024-04-03 or 2024-04-03T09:30")


def _sane(found: datetime) -> datetime:
    if not 1900 <= found.year <= 2200:
        raise Unusable("is a date outside the years 1900 to 2200")
    return found


AttributeValue = str | bool | int | float | None


def attribute(kind: str, value: object) -> AttributeValue:
    """The value as the definition's kind wants it stored: text, true/false, a number, or an ISO date. None: remove."""
    if value is None or value == "":
        return None
    if kind == "boolean":
        return value if isinstance(value, bool) else boolean(str(value))
    if kind == "number":
        if isinstance(value, bool):
            raise Unusable("is not a number: correct it or leave it empty")
        exact = number(str(value))
        return int(exact) if exact == exact.to_integral_value() else float(exact)
    if kind == "date":
        if isinstance(value, (datetime, date)):
            return value.isoformat()[:10]
        return moment(str(value)).date().isoformat()
    return text_value(value)


def text_value(value: object) -> str:
    """A short text that is no secret by its look."""
    if not isinstance(value, (str, int, float, Decimal, date)):
        raise Unusable("is not a single value: lists and objects are not kept")
    text = plain(str(value))
    found = secret_in(text)
    if found:
        raise Unusable(f"looks like {found}, which is never kept")
    if len(text) > MAX_TEXT:
        raise Unusable(f"is longer than {MAX_TEXT} characters")
    return text


def properties(given: Mapping[str, object]) -> tuple[dict[str, AttributeValue], list[Problem]]:
    """An event's properties: a flat, short dictionary without secrets; what does not fit is left out and named."""
    kept: dict[str, AttributeValue] = {}
    problems: list[Problem] = []
    for key, value in given.items():
        field = f"properties.{plain(str(key))[:60]}"
        if is_secret_name(str(key)):
            problems.append(Problem(field, "names a secret, which is never kept", refuses=False))
        elif len(kept) >= 20 or len(str(key)) > 64:
            problems.append(Problem(field, "is one too many, or its name is too long", refuses=False))
        elif isinstance(value, (bool, int, float)):
            # A number may be a card's: written out it is looked at like any text.
            if secret_in(str(value)):
                problems.append(Problem(field, "looks like a secret, which is never kept", refuses=False))
            else:
                kept[str(key)] = value
        else:
            try:
                kept[str(key)] = text_value(value) if value is not None else None
            except Unusable as error:
                problems.append(Problem(field, str(error), refuses=False))
    return kept, problems
