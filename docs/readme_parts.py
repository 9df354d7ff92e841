"""Refreshes the parts of README.md that are made from real output.

    python docs/readme_parts.py CHANGES.geojson

`CHANGES.geojson` is what `make demo` wrote. One of its features goes between the `feature` marks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def shown(changes: Path) -> str:
    """The surest new building, its geometry shortened, as a code block."""
    features = json.loads(changes.read_text(encoding="utf-8"))["features"]
    new = [
        feature
        for feature in features
        if (feature["properties"]["class"], feature["properties"]["change"])
        == ("building", "appeared")
    ]
    feature = max(new or features, key=lambda each: each["properties"]["confidence"])
    corner = feature["geometry"]["coordinates"][0][0]
    feature["geometry"]["coordinates"] = [[corner, "…"]]
    lines = [
        f'    "{key}": {json.dumps(value, ensure_ascii=False)}'
        for key, value in feature["properties"].items()
    ]
    properties = ",\n".join(lines)
    geometry = json.dumps(feature["geometry"], ensure_ascii=False).replace('"…"', "…")
    return (
        f'```json\n{{\n  "type": "Feature",\n  "properties": {{\n{properties}\n  }},\n'
        f'  "geometry": {geometry}\n}}\n```'
    )


def main(changes: Path) -> None:
    """Writes the feature into the README."""
    text = README.read_text(encoding="utf-8")
    head, _, rest = text.partition("<!-- feature -->\n")
    _, _, tail = rest.partition("<!-- /feature -->")
    marked = f"<!-- feature -->\n{shown(changes)}\n<!-- /feature -->"
    README.write_text(f"{head}{marked}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
