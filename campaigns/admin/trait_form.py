"""A trait rule as a form in words: what its JSON settings hold, field by field, and a trial on real people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.html import escape
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from campaigns import events, traits
from campaigns.admin.forms import RowForm, lines
from campaigns.models import AttributeDefinition, TraitKind, TraitRule
from campaigns.traits.rules import DEFAULT_EVENT, HOLES, SETTINGS, TENURES
from personalize.core.errors import InvalidInput

_NUMBERS = ("within_days", "after_days", "at_least", "limit")
_SHOWN_AS = {"phrases": "words"}
_UP_TO = re.compile(r"up to\s+(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_KNOWN_EVENTS = 40


def _text(words: str, **more: Any) -> forms.CharField:
    return forms.CharField(required=False, widget=UnfoldAdminTextInputWidget, help_text=words, **more)


def _number(words: str) -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=1,
        max_value=10_000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=words,
    )


class TraitRuleForm(RowForm):
    phrase = _text(
        "Such as: bought {product} {season}. What stands in braces is filled in; no digits. There is, by kind: "
        + "; ".join(
            f"{TraitKind(kind).label}: {{{'}, {'.join(holes)}}}" for kind, holes in HOLES.items() if holes
        )
    )
    past_phrase = _text(
        "For those who have stopped, such as: used to order {rhythm}", label="Phrase for the past"
    )
    attribute = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Of the kept attributes; protected ones are never spoken of.",
    )
    words = forms.CharField(
        required=False,
        label="Words for each value",
        widget=lines(4),
        help_text="One on a line: coast = lives near the coast. Other values say nothing.",
    )
    bands = forms.CharField(
        required=False,
        label="Words for numbers",
        widget=lines(3),
        help_text="One on a line, smallest first: up to 50 = spends little. The last may be: more = spends a lot",
    )
    tenure = forms.CharField(
        required=False,
        label="Words for how long",
        widget=lines(3),
        help_text="One on a line: new = joined not long ago; year = …; years = …",
    )
    event = _text("What they did, such as purchased or viewed. Empty: the usual one of the kind.")
    within_days = _number("Not longer ago than so many days")
    after_days = _number("Away for more than so many days")
    at_least = _number("On at least so many days")
    limit = _number("At most so many products or categories for one reader")

    asked = False  # the button "Try it" was pressed
    saved: TraitRule | None = None  # shown as it stands
    shown: traits.Preview | None = None
    problem = ""

    class Meta:
        model = TraitRule
        fields = ("name", "kind", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        rule = kwargs.get("instance")
        settings = rule.settings if rule is not None and isinstance(rule.settings, dict) else {}
        kwargs["initial"] = {
            **_to_fields(rule.kind if rule else "", settings),
            **(kwargs.get("initial") or {}),
        }
        super().__init__(*args, **kwargs)
        if "attribute" in self.fields:  # not where the page is only read
            self._offer(settings)
        if self.saved is not None:
            self._try(self.saved)

    def _offer(self, settings: Mapping[str, Any]) -> None:
        kept = AttributeDefinition.objects.filter(is_protected=False).order_by("label")
        choices = [("", "—"), *kept.values_list("name", "label")]
        if (current := settings.get("attribute")) and current not in dict(choices):
            choices.append((current, f"{current} (not kept any more, or protected)"))
        attribute = self.fields["attribute"]
        assert isinstance(attribute, forms.ChoiceField)
        attribute.choices = choices
        known = events.known_names(limit=_KNOWN_EVENTS)
        self.fields["event"].help_text += f" Known: {escape(', '.join(known))}." if known else ""

    def is_valid(self) -> bool:
        valid = super().is_valid()
        if self.asked and valid:
            self._try(self.instance)
        return valid and not self.asked

    def _try(self, rule: TraitRule) -> None:
        try:
            self.shown = traits.preview(rule)
        except InvalidInput as error:
            self.problem = str(error)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        try:
            self.instance.settings = _to_settings(given["kind"], given)
        except forms.ValidationError as error:
            self.add_error(None, error)
            return given
        rule = TraitRule(name=given["name"], kind=given["kind"], settings=self.instance.settings)
        try:
            traits.check_rule(rule)
        except InvalidInput as error:
            self.add_error(self._field_of(str(error), given["kind"]), str(error))
        return given

    def _field_of(self, message: str, kind: str) -> str | None:
        """The field that an error of the rule's check speaks of."""
        found = re.match(r"(?:The rule needs a )?'(\w+)", message)
        name = found[1] if found else "attribute" if message.startswith("The rule speaks of") else ""
        if name == "phrases" and kind == TraitKind.TENURE:
            name = "tenure"
        name = _SHOWN_AS.get(name, name)
        return name if name in self.fields else None


def _to_fields(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: settings[name]
        for name in ("phrase", "past_phrase", "attribute", "event", *_NUMBERS)
        if name in settings
    }
    phrases = settings.get("phrases")
    if isinstance(phrases, dict):
        name = "tenure" if kind == TraitKind.TENURE else "words"
        found[name] = "\n".join(f"{value} = {phrase}" for value, phrase in phrases.items())
    bands = settings.get("bands")
    if isinstance(bands, list):
        rows = [band for band in bands if isinstance(band, dict)]
        found["bands"] = "\n".join(
            f"{'more' if band.get('up_to') is None else 'up to ' + str(band['up_to'])} = {band.get('phrase', '')}"
            for band in rows
        )
    return found


def _to_settings(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Only what the kind takes, and of that only what was filled in."""
    allowed = SETTINGS[kind]
    found: dict[str, Any] = {}
    for name in ("attribute", "phrase", "past_phrase", "event"):
        if name in allowed and given.get(name):
            found[name] = given[name].strip()
    for name in _NUMBERS:
        if name in allowed and given.get(name) is not None:
            found[name] = given[name]
    if "phrases" in allowed and (text := given.get("tenure" if kind == TraitKind.TENURE else "words")):
        found["phrases"] = dict(
            _pairs(text, "words for each value" if kind != TraitKind.TENURE else TENURES[0])
        )
    if "bands" in allowed and given.get("bands"):
        found["bands"] = [_band(limit, phrase) for limit, phrase in _pairs(given["bands"], "up to 50")]
    if found.get("event") == DEFAULT_EVENT.get(kind):
        found.pop("event", None)
    return found


def _pairs(text: str, example: str) -> list[tuple[str, str]]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        left, equals, right = line.partition("=")
        if not equals or not left.strip() or not right.strip():
            raise forms.ValidationError(f"Line {number} is not of the form “{example} = some words”.")
        found.append((left.strip(), right.strip()))
    return found


def _band(limit: str, phrase: str) -> dict[str, Any]:
    if limit.casefold() == "more":
        return {"phrase": phrase}
    found = _UP_TO.fullmatch(limit)
    if not found:
        raise forms.ValidationError("A line of words for numbers begins with “up to 50 =” or “more =”.")
    value = float(found[1])
    return {"up_to": int(value) if value.is_integer() else value, "phrase": phrase}
