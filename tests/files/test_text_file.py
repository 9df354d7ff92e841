"""Text files in every form that other programs write."""

import codecs
import json
import os
from pathlib import Path

import pytest

from geochg.datasets.examples import read_examples
from geochg.datasets.locations import read_location_images
from geochg.datasets.pairs import pair_files
from geochg.errors import InputError
from geochg.evaluation.predictions import json_lines
from geochg.files.text_file import decoded_text, parsed_json, read_table, read_text, read_toml
from geochg.options import AnalyzeOptions
from geochg.tasks.prompts import read_prompts
from geochg.training.finetune.sweep import read_sweep

FORMS = {
    "plain": str.encode,
    "a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "a mark and CRLF": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
}


@pytest.fixture(params=FORMS)
def written(request, tmp_path):
    """Writes a text in one of the forms."""

    def write(name, text):
        path = tmp_path / name
        path.write_bytes(FORMS[request.param](text))
        return path

    return write


def test_every_form_is_the_same_text(written):
    text = "ä, 變\n\nÜ\tend\n"
    assert read_text(written("a.txt", text)) == text


def test_options_prompts_and_sweeps(written):
    assert AnalyzeOptions.from_toml(written("o.toml", 'model = "cva"\n')).model == "cva"
    caption = 'caption = """\nDescribe what is new,\nin brief."""\n'
    assert read_prompts(written("p.toml", caption)) == {
        "caption": "Describe what is new, in brief."
    }
    (run,) = read_sweep(written("s.toml", "[options]\nepochs = 2\n"), {})
    assert run.options.epochs == 2
    assert read_toml(written("é.toml", 'a = "é\\n"\n'), "", "") == {"a": "é\n"}


ASK = "Please judge whether these two images have changed. Please answer yes or no."
ROW = {
    "id": "é1",
    "image": ["a.png", "b.png"],
    "conversations": [{"from": "human", "value": ASK}, {"from": "gpt", "value": "no"}],
}


@pytest.fixture
def pictures(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()


@pytest.mark.usefixtures("pictures")
def test_rows_of_json(written):
    for name, text in {
        "r.json": json.dumps([ROW], ensure_ascii=False, indent=1),
        "r.jsonl": json.dumps(ROW, ensure_ascii=False) + "\n",
    }.items():
        (example,) = read_examples(written(name, text), None)
        assert example.id == "é1"


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("above", [False, True])
def test_tables_of_any_delimiter(written, mark, above):
    head = f"sep={mark}\n" if above else ""
    quoted = f'"{ASK}, {ASK}; no\nmore"'
    rows = [["before", " after", "question", "answer"], ["a.png", "b.png", quoted, "no"]]
    text = head + "".join(f"{mark.join(row)}\n" for row in rows)
    (example,) = read_examples(written("r.csv", text), None)
    assert example.turns[0].question == quoted.strip('"')
    assert example.origin.number == len(text.splitlines())
    text = head + mark.join(("before", "after", "changed")) + f"\na.png{mark}b.png{mark}1\n\n"
    (pair,) = pair_files(written("p.csv", text))
    assert pair.changed is True


def test_tables_and_files_of_places(written, tmp_path):
    text = "image;location_id;timestamp\na.png;5;2015-01-01\nb.png;5;2018-01-01\n"
    found = list(read_location_images(written("t.csv", text), tmp_path))
    assert [shot.location for shot in found] == ["5", "5"]


def test_files_of_predictions(written):
    head = {"kind": "geochg predictions", "format": 2}
    text = "".join(f"{json.dumps(line)}\n" for line in (head, {"item": "é"}))
    assert json_lines(written("k.jsonl", text))[1] == {"item": "é"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such devices")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/full", "/dev/null"])
@pytest.mark.parametrize("read", [read_text, read_table, json_lines, AnalyzeOptions.from_toml])
def test_a_device_is_no_file(tmp_path, device, read):
    (tmp_path / "a.toml").symlink_to(device)
    for path in (tmp_path / "a.toml", Path(device)):
        with pytest.raises(InputError, match="it is a device"):
            read(path)


@pytest.mark.parametrize("content", [b"\xff", b"caf\xe9", codecs.BOM_UTF16_LE + b"a"])
def test_what_is_no_text(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    for read in (read_text, read_table):
        with pytest.raises(InputError, match="not text") as caught:
            read(tmp_path / "a.csv")
        assert "UTF-8" in caught.value.hint


@pytest.mark.parametrize("name", ["none.txt", "folder", "a\0b"])
def test_what_cannot_be_read(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot read"):
        read_text(tmp_path / name)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", ""])
def test_what_is_no_json(text):
    with pytest.raises(ValueError, match=r"\S"):
        parsed_json(text)


@pytest.mark.parametrize("row", ["a,b,c,d", '"a,b', 'a,"b"c,d'])
def test_rows_that_are_none(tmp_path, row):
    (tmp_path / "a.csv").write_text(f"x,y,z\n1,2,3,\n{row}\n")
    with pytest.raises(InputError, match="line 3: not a CSV file"):
        list(read_table(tmp_path / "a.csv").rows())


@pytest.mark.parametrize("text", ["a = [" * 5000, "a = " + "9" * 5000, "a"])
def test_what_is_no_toml(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match="not a TOML file"):
        read_toml(tmp_path / "a.toml", "options", "")


def test_lines_end_alike():
    assert decoded_text(b"a\r\nb\rc\n\r\n") == "a\nb\nc\n\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("text", ["min_area_m2 = 5\n", "before,after\n", "{}"])
def test_wide_letters_without_a_mark_are_told(tmp_path, encoding, text):
    path = tmp_path / "a.toml"
    path.write_bytes(text.encode(encoding))
    for read in (read_text, read_table, lambda path: read_toml(path, "options", "")):
        with pytest.raises(InputError, match="UTF-16 without a byte order mark") as caught:
            read(path)
        assert caught.value.hint == "save it as UTF-8"
