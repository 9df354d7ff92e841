"""Text of models, servers and files where Qt reads markup."""

from __future__ import annotations

import html


def as_markup(text: object) -> str:
    """Markup that shows a text as it is; for message bars, which read nothing else."""
    return html.escape(str(text))


def as_log_markup(text: str) -> str:
    """Markup that shows a text as it is in QGIS's log, which also goes to the terminal.

    Names of models and reasons of servers must neither be links there nor command the terminal.
    """
    plain = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return html.escape(plain, quote=False)


def as_tip(text: object) -> str:
    """A tool tip that shows a text as it is.

    In a paragraph, because Qt guesses whether a tip is markup and must not guess wrong.
    """
    return f"<p>{as_markup(text)}</p>"
