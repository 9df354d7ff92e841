"""How the program is cited; a test holds it against CITATION.cff, which is not installed."""

from __future__ import annotations

from typing import NamedTuple

TITLE = "geochg: what changed between two georeferenced rasters, as map features"
AUTHORS = "The geochg developers"
LICENSE = "MIT"
ADVICE = "Please cite the work behind the model that was run, too, and the sources of the images."


class Citation(NamedTuple):
    """A citation in two forms.

    Attributes:
        text: As a reference in a list.
        bibtex: As an entry of BibTeX.
        advice: What else is to be cited.
    """

    text: str
    bibtex: str
    advice: str = ADVICE


def citation(version: str) -> Citation:
    """The citation of a version of geochg."""
    text = f"{AUTHORS}. {TITLE}. Version {version}. License: {LICENSE}."
    fields = {
        "author": f"{{{{{AUTHORS}}}}}",
        "title": f"{{{{{TITLE}}}}}",
        "version": f"{{{version}}}",
        "note": f"{{License: {LICENSE}}}",
    }
    lines = ",\n".join(f"  {name} = {value}" for name, value in fields.items())
    return Citation(text, f"@software{{geochg,\n{lines}\n}}")
