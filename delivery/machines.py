"""Telling a machine's click or open from a reader's, where it can be told.

Mail servers' link scanners open every link within seconds, and programs fetch pictures unasked. What is recognised
is kept and left out of every count. What behaves just like a person stays counted: no rule finds that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

# Link scanners of mail servers click while they take the mail in; a reader needs longer to see and read it.
TOO_SOON = timedelta(seconds=5)

_PROGRAM = re.compile(
    r"bot\b|crawl|spider|scan|preview|fetch|monitor|prerender|headless|phantom|python|curl|wget|libwww|okhttp|"
    r"go-http|java/|axios|node-fetch|httpclient|barracuda|proofpoint|mimecast|symantec|trendmicro|fortinet|"
    r"cloudmark|safelinks|bingpreview|microsoft office|ms-office|slackbot|whatsapp|facebookexternalhit|"
    r"telegrambot|twitterbot|linkedinbot|discordbot|urlcheck|virustotal|zgrab|nmap",
    re.IGNORECASE,
)
_PREFETCH = ("Purpose", "Sec-Purpose", "X-Purpose", "X-Moz")


def why_click(headers: Mapping[str, str], *, after: timedelta | None) -> str:
    """What gives a click away as a machine's, in two or three words; '' for a person's. `after` the mail left."""
    if why := why_agent(headers.get("User-Agent", "")):
        return why
    if any("prefetch" in headers.get(name, "").lower() for name in _PREFETCH):
        return "fetched ahead"
    if not headers.get("Accept-Language"):  # every browser of a person sends its languages
        return "no language"
    if after is not None and after < TOO_SOON:
        return "too soon"
    return ""


def why_agent(agent: str) -> str:
    """As `why_click`, from the name of the program alone."""
    if not agent:
        return "no browser"
    return "link scanner" if _PROGRAM.search(agent) else ""


def why_open(agent: str) -> str:
    """As `why_click`, of the picture. Apple's mail privacy fetches all pictures as plain 'Mozilla/5.0'."""
    if agent.strip() == "Mozilla/5.0":
        return "fetched ahead"
    if "GoogleImageProxy" in agent or "YahooMailProxy" in agent:  # fetch when a person opens
        return ""
    return why_agent(agent)
