"""Form fields that several pages share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

if TYPE_CHECKING:
    RowForm = forms.ModelForm[Any]
else:
    RowForm = forms.ModelForm


class CheckboxesField(forms.MultipleChoiceField):
    """An array of choices as checkboxes."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget


class NumbersField(forms.TypedMultipleChoiceField):
    """An array of numbers that stand for choices, as checkboxes."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(coerce=int, empty_value=[], **options)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return {str(each) for each in initial or ()} != {str(each) for each in data or ()}


class WordsField(forms.CharField):
    """An array of short texts as one line, separated by commas."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return list(value)
        found = [word.strip() for word in str(value or "").split(",")]
        return list(dict.fromkeys(word for word in found if word))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))

    def validate(self, value: Any) -> None:
        if self.required and not value:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        long = [word for word in value if len(word) > 60]
        if long:
            raise forms.ValidationError(f"“{long[0][:60]}…” is longer than 60 characters.")


def lines(rows: int = 2, **attrs: str) -> Any:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, **attrs})
