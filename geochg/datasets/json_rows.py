"""Rows of JSON files: ChangeChat-105k's instructions and captions, LLaVA's, LEVIR-CC's captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from geochg.datasets.example import Example, ExampleTurn, Origin, SceneWindow
from geochg.datasets.group_columns import group_columns
from geochg.datasets.picture_paths import PicturePaths
from geochg.datasets.question_tasks import answers_change, task_asked, without_marks
from geochg.datasets.splits import split_of_name, usual_split
from geochg.errors import InputError
from geochg.files.text_file import json_value, read_text
from geochg.records import PixelWindow, Task
from geochg.tasks import SPECS

JSON_SUFFIXES = (".json", ".jsonl")

_ASKS, _ANSWERS = ("human", "user"), ("gpt", "assistant")
_FORM_HINT = (
    'a row has "image": [before, after] or "video", and "conversations"; or "image_A", "image_B"'
    ' and "captions"'
)
_TURNS_HINT = 'each is {"from": "human" or "gpt", "value": "..."}, in turns'

_LINE_HINT = "mend that line, or copy the file again"

Row = Mapping[str, Any]

_NO_COLUMNS = frozenset(
    """
    id imgid image image_A image_B video filename filepath changeflag conversations captions
    sentences window task
    """.split()
)
"""Keys of a row that name no group of pairs."""


def json_examples(source: Path, paths: PicturePaths) -> Iterator[Example]:
    """The examples of a JSON file, or of a JSON file a line (`.jsonl`).

    Raises:
        InputError: If it is not JSON (file and line), or a row lacks what it needs.
    """
    split = split_of_name(source.stem)
    for origin, row in _rows(source):
        if "sentences" in row:
            yield _levir(row, origin, paths, split)
        elif "captions" in row:
            yield _captions(row, origin, paths, split)
        else:
            yield _instructions(row, origin, paths, split)


# --- the file ------------------------------------------------------------------------------------


def _rows(source: Path) -> Iterator[tuple[Origin, Row]]:
    for number, row in enumerate(_values(source), start=1):
        if not isinstance(row, dict):
            raise Origin(source, number).fault(f"a {type(row).__name__}, no object", _FORM_HINT)
        name = row.get("id", row.get("imgid", ""))
        yield Origin(source, number, str(name)), row


def _values(source: Path) -> Sequence[Any]:
    """The rows of a file, whatever they are."""
    text = read_text(source)
    if source.suffix.lower() == ".jsonl":
        return [
            json_value(line, source, _LINE_HINT, number)
            for number, line in enumerate(text.split("\n"), start=1)
            if line.strip()
        ]
    rows = json_value(text, source, _LINE_HINT)
    if isinstance(rows, dict) and isinstance(rows.get("images"), list):
        rows = rows["images"]
    if not isinstance(rows, list):
        raise InputError(f"{source} holds no list of rows", _FORM_HINT)
    return rows


# --- rows ----------------------------------------------------------------------------------------


def _instructions(row: Row, origin: Origin, paths: PicturePaths, split: str) -> Example:
    turns = _turns(row, origin)
    task = _task(row, origin) or task_asked([turn.question for turn in turns])
    return _example(row, origin, split, _files(row, origin, paths), turns, task)


def _captions(row: Row, origin: Origin, paths: PicturePaths, split: str) -> Example:
    captions = _sentences(row["captions"], origin)
    return _captioned_example(row, origin, split, _files(row, origin, paths), captions)


def _levir(row: Row, origin: Origin, paths: PicturePaths, split: str) -> Example:
    name, part = _text(row.get("filename")), _text(row.get("split"))
    if not name:
        raise origin.fault("no filename", 'an image has "filename", "split" and "sentences"')
    sentences = row["sentences"]
    if isinstance(sentences, list):
        sentences = [s.get("raw") if isinstance(s, dict) else s for s in sentences]
    # The set keeps its pictures in PART/A and PART/B; others lay A and B side by side.
    folders = dict.fromkeys((_text(row.get("filepath")), part, f"images/{part}"))
    before, after = (
        paths.path([*(f"{f}/{side}/{name}" for f in folders if f), f"{side}/{name}"], origin)
        for side in ("A", "B")
    )
    captions = _sentences(sentences, origin)
    files = {"before": before, "after": after}
    return _captioned_example(row, origin, split, files, captions)


def _captioned_example(
    row: Row, origin: Origin, split: str, files: dict[str, Path], captions: tuple[str, ...]
) -> Example:
    turns = (ExampleTurn(SPECS[Task.CAPTION].prompts[0], captions[0]),)
    return _example(row, origin, split, files, turns, Task.CAPTION, captions)


def _example(
    row: Row,
    origin: Origin,
    split: str,
    files: dict[str, Path],
    turns: tuple[ExampleTurn, ...],
    task: Task,
    references: tuple[str, ...] = (),
) -> Example:
    changed = _flag(row, origin)
    answers = [turn.answer for turn in turns]
    return Example(
        id=origin.id or str(origin.number),
        turns=turns,
        **files,
        task=task,
        changed=answers_change(task, answers) if changed is None else changed,
        references=references,
        split=usual_split(_text(row.get("split"))) or split,
        scene_window=_scene_window(row, origin),
        location=_location(row),
        origin=origin,
        columns=group_columns({n: value for n, value in row.items() if n not in _NO_COLUMNS}),
    )


# --- parts of a row ------------------------------------------------------------------------------


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _files(row: Row, origin: Origin, paths: PicturePaths) -> dict[str, Path]:
    """The pictures of a row, by the names that `Example` has for them."""
    if video := _text(row.get("video")):
        return {"video": paths.path([video], origin)}
    names = row.get("image", [row.get("image_A"), row.get("image_B")])
    if isinstance(names, str):
        raise origin.fault("one image", 'a pair is two: "image": [before, after]')
    if not isinstance(names, list) or len(names) != 2 or not all(map(_text, names)):
        raise origin.fault("no two images and no video", _FORM_HINT)
    before, after = (paths.path([_text(name)], origin) for name in names)
    return {"before": before, "after": after}


def _turns(row: Row, origin: Origin) -> tuple[ExampleTurn, ...]:
    dialogue = row.get("conversations")
    if not isinstance(dialogue, list) or not dialogue:
        raise origin.fault("no conversations", _FORM_HINT)
    messages = [_message(entry, origin) for entry in dialogue]
    speakers = [role for role, _ in messages]
    if speakers != [True, False] * (len(messages) // 2) or len(messages) % 2:
        raise origin.fault("questions and answers do not take turns", _TURNS_HINT)
    words = [text for _, text in messages]
    return tuple(
        ExampleTurn(without_marks(question), answer.strip())
        for question, answer in zip(words[::2], words[1::2], strict=True)
    )


def _message(entry: object, origin: Origin) -> tuple[bool, str]:
    """Whether a message is a question, not an answer, and its text."""
    if not isinstance(entry, dict):
        raise origin.fault("a conversation holds something that is no object", _TURNS_HINT)
    role, text = entry.get("from", entry.get("role")), entry.get("value", entry.get("content"))
    if role not in (*_ASKS, *_ANSWERS) or not isinstance(text, str):
        raise origin.fault("a message has no speaker, or no text", _TURNS_HINT)
    return role in _ASKS, text


def _sentences(captions: object, origin: Origin) -> tuple[str, ...]:
    if not isinstance(captions, list) or not captions or not all(map(_text, captions)):
        raise origin.fault("no captions", "a list of sentences, none of them empty")
    return tuple(_text(sentence) for sentence in captions)


def _flag(row: Row, origin: Origin) -> bool | None:
    flag = row.get("changeflag")
    if flag is None:
        return None
    if flag not in (0, 1):
        raise origin.fault("changeflag is neither 0 nor 1", "leave it out where it is not known")
    return bool(flag)


def _task(row: Row, origin: Origin) -> Task | None:
    name = row.get("task")
    if name is None:
        return None
    if name not in list(Task):
        raise origin.fault(f"there is no task {str(name)[:40]!r}", f"tasks: {', '.join(Task)}")
    return Task(name)


def _location(row: Row) -> str:
    """The id of the place; some write it as a number."""
    value = row.get("location_id")
    return str(value) if type(value) is int else _text(value)


def _scene_window(row: Row, origin: Origin) -> SceneWindow | None:
    """The scene and window of a row that `geochg dataset build` wrote."""
    scene, window = row.get("scene"), row.get("window")
    if scene is None or window is None:
        return None
    is_window = isinstance(window, list) and len(window) == 4
    if not is_window or not all(type(edge) is int for edge in window):
        raise origin.fault("the window is not four whole numbers", "rows, then columns, half-open")
    return SceneWindow(str(scene), PixelWindow(*window))
