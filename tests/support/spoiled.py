"""Settings of a model folder, put wrong."""

import json


def spoil(folder, file, *keys, value):
    """Gives a setting of one of a folder's JSON files another value."""
    values = json.loads((folder / file).read_text(encoding="utf-8"))
    place = values
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (folder / file).write_text(json.dumps(values), encoding="utf-8")
