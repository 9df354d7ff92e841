"""The assessment of a map as plain values and as tables: matrix, accuracies, areas, intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geochg import __version__
from geochg.accuracy.allocation import FEW_UNITS
from geochg.accuracy.estimates import AccuracyEstimates, Estimate
from geochg.safety.untrusted_text import cleaned
from geochg.tasks.quantities import rounded_value

_DIGITS = 4
_MOST_CHARACTERS = 200
_HECTARE_M2 = 10_000
UNKNOWN = "-"
"""Stands in tables where the sample says nothing."""


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="geochg {{ version }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Accuracy of the change layer</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.warning { border-left: .3rem solid; padding-left: .8rem; }
</style>
</head>
<body>
<h1>Accuracy of the change layer</h1>
<p>Overall accuracy: {{ overall }}. Changed or not: {{ changed }}. Intervals are of 95 %.</p>
{% for warning in warnings %}
<p class="warning">{{ warning }}</p>
{% endfor %}
{% for title, table in tables %}
<h2>{{ title }}</h2>
<div><table>
<thead><tr>{% for cell in table[0] %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table[1:] %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Assessment:
    """How right a change layer is.

    Attributes:
        estimates: Of all classes, kinds of change and `unchanged`.
        binary: The same of two classes, changed and unchanged.
        strata: Of each stratum its name, `area_m2`, `units` and those `judged`.
        facts: What sample and layer were, as plain JSON values.
        warnings: Sentences on what is not to be trusted.
    """

    estimates: AccuracyEstimates
    binary: AccuracyEstimates
    strata: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any]
    warnings: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; each estimate has `value`, `low` and `high`, null where unknown."""
        return {
            **_estimates_dict(self.estimates),
            "changed_or_not": _estimates_dict(self.binary),
            "strata": [dict(stratum) for stratum in self.strata],
            "warnings": list(self.warnings),
            "geochg": dict(self.facts),
        }

    def to_markdown(self) -> str:
        """Tables for people, areas in hectares."""
        return "\n".join(self._markdown_lines()) + "\n"

    def to_html(self) -> str:
        """The same tables as one page, which fetches nothing."""
        from jinja2 import Environment

        page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_PAGE)
        return page.render(
            version=__version__,
            overall=_share(self.estimates.overall),
            changed=_share(self.binary.overall),
            warnings=self.warnings,
            tables=list(self.tables()),
        )

    def _markdown_lines(self) -> Iterator[str]:
        yield "# Accuracy of the change layer"
        yield ""
        yield f"geochg {__version__}"
        yield ""
        overall, changed = _share(self.estimates.overall), _share(self.binary.overall)
        yield f"Overall accuracy: {overall}. Changed or not: {changed}. Intervals are of 95 %."
        yield from (f"\n**Warning:** {warning}" for warning in self.warnings)
        for title, table in self.tables():
            yield f"\n## {title}\n"
            header, *rows = table
            yield _markdown_row(header)
            yield _markdown_row(["---"] * len(header))
            yield from map(_markdown_row, rows)

    def tables(self) -> Iterator[tuple[str, list[list[str]]]]:
        """Heading and rows of each table, the first of which names the columns."""
        estimates = self.estimates
        rows = [["Class", "Mapped, ha", "Area, ha", "User's accuracy", "Producer's accuracy"]]
        for name in estimates.classes:
            mapped = f"{estimates.mapped_m2[name] / _HECTARE_M2:,.2f}"
            area = _hectares(estimates.area_m2[name])
            accuracies = _share(estimates.users[name]), _share(estimates.producers[name])
            rows.append([name, mapped, area, *accuracies])
        yield "Areas and accuracies by class", rows
        shares = [["Map \\ reference", *estimates.classes]]
        counts = [["Map \\ reference", *estimates.classes]]
        for index, name in enumerate(estimates.classes):
            shares.append([name, *(_number(cell) for cell in estimates.matrix[index])])
            counts.append([name, *(str(count) for count in estimates.counts[index])])
        yield "Error matrix in shares of the area", shares
        yield "Error matrix in units of the sample", counts
        units = [["Stratum", "Area, ha", "Units", "Judged"]]
        for stratum in self.strata:
            area = f"{stratum['area_m2'] / _HECTARE_M2:,.2f}"
            units.append([stratum["name"], area, str(stratum["units"]), str(stratum["judged"])])
        yield "Strata", units


def small_strata(strata: Sequence[Mapping[str, Any]]) -> list[str]:
    """Warnings of strata with few judged units."""
    return [
        f"the stratum {stratum['name']} has {stratum['judged']} judged units only: fewer than"
        f" {FEW_UNITS} make its intervals unsafe"
        for stratum in strata
        if stratum["judged"] < FEW_UNITS
    ]


def _estimates_dict(estimates: AccuracyEstimates) -> dict[str, Any]:
    names = estimates.classes
    matrix = {
        row: {
            column: _dict(cell, _DIGITS)
            for column, cell in zip(names, estimates.matrix[index], strict=True)
        }
        for index, row in enumerate(names)
    }
    return {
        "classes": list(names),
        "counts": estimates.counts.tolist(),
        "matrix": matrix,
        "overall": _dict(estimates.overall, _DIGITS),
        "users": {name: _dict(estimates.users[name], _DIGITS) for name in names},
        "producers": {name: _dict(estimates.producers[name], _DIGITS) for name in names},
        "area_m2": {name: _dict(estimates.area_m2[name], 1) for name in names},
        "mapped_m2": {name: rounded_value(estimates.mapped_m2[name], 1) for name in names},
    }


def _dict(estimate: Estimate, digits: int) -> dict[str, float | None]:
    parts = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {
        name: None if part is None else rounded_value(part, digits) for name, part in parts.items()
    }


def _number(estimate: Estimate) -> str:
    return UNKNOWN if estimate.value is None else f"{estimate.value:.4f}"


def _share(estimate: Estimate) -> str:
    if estimate.value is None:
        return UNKNOWN
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _hectares(estimate: Estimate) -> str:
    part = estimate.scaled(1 / _HECTARE_M2)
    if part.value is None:
        return UNKNOWN
    if part.low is None or part.high is None:
        return f"{part.value:,.2f}"
    return f"{part.value:,.2f} ({part.low:,.2f} to {part.high:,.2f})"


def _markdown_row(cells: Sequence[str]) -> str:
    """A row of a table; class names are text from elsewhere: on one line, with bars escaped."""
    texts = (cleaned(cell, _MOST_CHARACTERS).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"
