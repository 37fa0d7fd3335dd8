"""What keeps a file that a spreadsheet opens harmless."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def defuse(cell: str) -> str:
    """Spreadsheets run a cell that begins so as a formula (OWASP, CSV injection). `'` is doubled to stay readable."""
    return f"'{cell}" if cell.startswith((*FORMULA, "'")) else cell
