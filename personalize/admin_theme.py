"""The look of the admin: unfold's settings, kept apart from what the system does."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def _static(path: str) -> Any:
    """The address of a static file, asked for when a page is drawn: settings are being read right now."""

    def address(request: HttpRequest) -> str:
        from django.templatetags.static import static

        return static(path)

    return address


# Pine on warm paper. Step 600 carries white text and 500 stands on the dark ground: both above 4.5:1.
PINE = {
    "50": "#effaf6", "100": "#d7f2e8", "200": "#b0e4d2", "300": "#7fd0b7", "400": "#4cb596", "500": "#2fa585",
    "600": "#0f7560", "700": "#0d5f4f", "800": "#0e4c41", "900": "#0d3f36", "950": "#06241f",
}  # fmt: skip
PAPER = {
    "50": "#faf9f7", "100": "#f3f1ed", "200": "#e6e2db", "300": "#d3cdc3", "400": "#a8a096", "500": "#736c63",
    "600": "#57514a", "700": "#423d38", "800": "#2a2724", "900": "#1b1917", "950": "#100e0d",
}  # fmt: skip

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Personalize",
    "SITE_HEADER": "Personalize",
    "SITE_SUBHEADER": "Every reader their own copy",
    "SITE_SYMBOL": "edit_note",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("personalize/icon.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "base": PAPER,
        "primary": PINE,
        "font": {
            "subtle-light": "var(--color-base-500)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-600)",
            "default-dark": "var(--color-base-300)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "STYLES": [_static("personalize/admin.css")],
    "DASHBOARD_CALLBACK": "personalize.dashboard.today",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "personalize.sidebar.navigation",
    },
}
