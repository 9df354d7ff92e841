"""Text of others is fit for storage, terminal and Qt: no control codes, no halves, no secrets."""

import errno
import itertools
import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochg.errors import GeochgError, InputError
from geochg.events import Notice
from geochg.safety.untrusted_text import (
    cleaned,
    names_a_secret,
    printable,
    printable_pieces,
    secret_names,
    storable,
    without_secrets,
)

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufffe\uffff]"
)
ANYTHING = st.text(st.characters(codec=None, categories=None), max_size=60) | st.text(
    st.sampled_from("\x1b[]0;m\x07\\\x9b\x9d\x90\x9c\ud83c\udf00\r\n ab\u202e"), max_size=40
)
SECRET = "sk-VERYSECRET"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A house was built.", "A house was built."),
        ("建筑物 - 3 m², ق, 👩‍🌾", "建筑物 - 3 m², ق, 👩‍🌾"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc\u2028d\x85e\vf", "a\nb\nc\nd\ne\nf"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;owned\x9ctitle", "title"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b(0line\x1bcreset", "linereset"),
        ("\x1b]0;never ends", "0;never ends"),
        ("a\x00b\x08c", "a\ufffdb\ufffdc"),
        ("\ud83c\udf00", "\U0001f300"),
        ("\ud83c x \udf00", "\ufffd x \ufffd"),
        ("caf\udce9.tif", "caf\ufffd.tif"),
        ("\uffff\ufdd0\U0001ffff", "\ufffd" * 3),
        ("abc\u202etxt.exe\u2066\ufeff", "abctxt.exe"),
    ],
)
def test_what_commands_a_terminal_or_cannot_be_stored_goes(text, shown):
    assert printable(text) == shown
    assert "".join(printable_pieces(text)) == shown
    assert "".join(printable_pieces([text[:3], "", text[3:]])) == shown


@settings(max_examples=100, deadline=None, derandomize=True)
@given(ANYTHING)
def test_any_text_becomes_safe_and_stays_so(text):
    shown = printable(text)
    assert not UNSAFE.search(shown)
    shown.encode("utf-8")
    assert printable(shown) == shown
    assert cleaned(cleaned(text)) == cleaned(text)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(ANYTHING, st.lists(st.integers(0, 60), max_size=5))
def test_a_text_in_pieces_is_shown_as_the_whole(text, cuts):
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    shown = list(printable_pieces(pieces))
    assert "".join(shown) == printable(text)
    assert all(shown)


@pytest.mark.parametrize(
    "text",
    [
        f"http://127.0.0.1/a.tif?sig={SECRET}: not found",
        f"cannot open '/vsicurl/https://h.example/a.tif?X-Amz-Signature={SECRET}&X-Amz-Date=1'",
        f"https://user:{SECRET}@h.example/v1 refused",
        f"ftp://{SECRET}@h.example/a",
        f"/vsicurl?header.Authorization=Bearer%20{SECRET}&url=http%3A%2F%2F127.0.0.1%3A9%2Fa.tif",
        f"GET /a/b.tif?sv=2024&sig={SECRET} 403",
        f"https://h.example/cb#access_token={SECRET}",
        f"PG:host=h dbname=d password={SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f'{{"api_key": "{SECRET}", "model": "m"}}',
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"Authorization: Bearer {SECRET}",
        f"Incorrect API key provided: {SECRET}.",
        f"the key {SECRET} is wrong",
    ],
)
def test_keys_and_signatures_go(text):
    for shown in (cleaned(text), without_secrets(text), InputError(text).message):
        assert "VERYSECRET" not in shown
    assert "VERYSECRET" not in InputError("no", text).hint
    assert "VERYSECRET" not in Notice(text).message


@pytest.mark.parametrize(
    "key",
    [
        "hf_abcdefghijklmnop",
        "ghp_0123456789abcdefghij",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "Basic dXNlcjpwYXNzd29yZA==",
        "glpat-0123456789abcdefghij",
    ],
)
def test_well_known_kinds_of_keys_go_wherever_they_stand(key):
    assert key.split()[-1] not in cleaned(f"refused for {key} today")


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 5000 is too large: this model takes max_tokens=4096",
        "This model's maximum context length is 4096 tokens; you asked for 5000",
        "token: 15",
        "tokenizer: LlamaTokenizer, stop_token_ids: none",
        "the task-force and the risk-assessment of the basic idea",
        "write --model openai:http://localhost:8000/v1#name",
        "key_variable=OPENAI_API_KEY",
        "C:\\data\\what?.tif does not exist",
        "EPSG:32633;POLYGON((0 0, 1 1, 2 2, 0 0))",
        "see https://gdal.org/drivers/raster/vrt.html, 'vrt:// connection'.",
        "No space left on device",
    ],
)
def test_reasons_are_told_as_they_are(text):
    assert cleaned(text) == text


def test_a_known_secret_goes_in_each_spelling():
    key = "pass word/+ü"
    said = "pass word/+ü, pass%20word%2F%2B%C3%BC, pass+word%2F%2B%C3%BC"
    assert cleaned(said, secrets=(key, "")) == "***, ***, ***"


def test_a_text_is_cut_with_an_ellipsis_and_its_lines_are_joined():
    assert cleaned("x" * 30, 10) == "xxxxxxxxx…"
    assert cleaned("a\n  b\r\n\tc") == "a b c"
    assert cleaned("a\nb", keep_lines=True) == "a\nb"
    # A key that lies across the cut is not shown by half.
    assert "sk-" not in cleaned(f"{'x ' * 10}{SECRET}{'y' * 5000}", 30)


def test_the_reason_of_an_error_is_that_of_the_one_it_points_to():
    inner = ValueError("block 3 is damaged")
    outer = RuntimeError("Read failed. See previous exception for details.")
    outer.__cause__ = inner
    assert cleaned(outer) == "block 3 is damaged"
    assert cleaned(OSError(errno.ENOSPC, "No space left on device", "/a")) == (
        "No space left on device"
    )
    assert cleaned(KeyError()) == "KeyError"


def test_names_of_rasters_keep_what_tells_them_apart():
    signed = "/vsicurl/https://user:word@host.example/a.tif?X-Signature=abc&token=def"
    assert without_secrets(signed) == "/vsicurl/https://host.example/a.tif"
    assert without_secrets("C:/data/what?.tif") == "C:/data/what?.tif"
    assert (
        without_secrets("/vsicurl/https://h/my file.tif?abcdef") == "/vsicurl/https://h/my file.tif"
    )
    assert without_secrets('NETCDF:"https://u:p@h/a.nc?s=1":b') == 'NETCDF:"https://h/a.nc":b'
    query = "/vsicurl?header.Authorization=Bearer%20x&url=http%3A%2F%2Fh%2Fa.tif"
    assert without_secrets(query) == "/vsicurl/http://h/a.tif"
    assert without_secrets("/vsizip/a.zip/b.tif") == "/vsizip/a.zip/b.tif"


@pytest.mark.parametrize("name", ["api_key", "Authorization", "x-api-key", "token", "AWS_SECRET"])
def test_values_under_the_name_of_a_secret_go(name):
    assert names_a_secret(name)
    values = {"seed": 1, "inner": [{name: {"any": "thing"}}], "a": f"Bearer {SECRET}"}
    hidden = storable(values)
    assert hidden["seed"] == 1
    assert hidden["inner"] == [{name: "***"}]
    assert "VERY" not in json.dumps(hidden)
    assert secret_names({"a": [{"b": {name: "text"}}]}) == [name]
    assert secret_names({name: {"type": 1}, "seed": 1}) == []


@pytest.mark.parametrize("name", ["max_tokens", "stop_token_ids", "seed", "keypoints", "author"])
def test_other_values_stay(name):
    assert not names_a_secret(name)
    assert storable({name: [1, "a"]}) == {name: [1, "a"]}


@pytest.mark.parametrize(
    "part", ["a", "sk-", "\x1b]", "token", "a://", "/vsi", "secret=", "\x1b[0", "-token", "_secret"]
)
def test_long_texts_are_cleaned_at_once(part):
    start = time.monotonic()
    cleaned(part * 300_000, 2_000)
    "".join(printable_pieces([part * 100_000]))
    assert time.monotonic() - start < 5


def test_errors_and_notices_hold_clean_lines():
    error = GeochgError("a\x1b]0;x\x07\nb\ud83c", "look at\nhttp://u:p@h/?k=v")
    assert str(error) == "a b\ufffd\nlook at http://h/"
    assert error.args == (error.message, error.hint)
    assert Notice("a\x1b[2J").to_dict()["message"] == "a"
