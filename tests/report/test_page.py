import base64
import hashlib
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from report_pages import GRID, HOSTILE, Page, drawn_changes, image_pair, open_pictures, run_metadata

from geochg.classes import LEGEND
from geochg.report import changes, citation
from geochg.report.contents import Figure, ReportContents
from geochg.report.page import report_page


def contents(tmp_path, frame, with_pictures=True, **members):
    images = image_pair(tmp_path)
    metadata = run_metadata(images, **members)
    pictures = open_pictures([str(image) for image in images], GRID) if with_pictures else ()
    return ReportContents("A title", lambda: [frame], metadata, GRID, pictures)


def data_of(page):
    (block,) = page.all("script", id="data")
    return json.loads(block["text"])


def test_every_change_has_a_row_with_its_id_and_an_outline(tmp_path):
    page = Page(report_page(contents(tmp_path, drawn_changes(12))))
    assert [row["data-id"] for row in page.rows()] == [str(n) for n in range(1, 13)]
    assert "Change 3 of the place." in page.rows()[2]["text"]
    outlines = [e for e in page.all("path") if e.get("class", "").startswith("k")]
    assert len([e for e in outlines if e["d"].startswith("M")]) >= 12


def test_outlines_lie_where_the_changes_are(tmp_path):
    page = Page(report_page(contents(tmp_path, drawn_changes(4))))
    boxes = data_of(page)["boxes"]
    # Two by two over 300 x 200 pixels, each from one pixel beside its corner on, 16 wide.
    assert boxes == [
        pytest.approx(box, abs=0.1)
        for box in ([1, 1, 17, 17], [151, 1, 167, 17], [1, 101, 17, 117], [151, 101, 167, 117])
    ]


def test_texts_of_models_and_files_are_shown_and_not_run(tmp_path):
    frame = drawn_changes(3, caption=[HOSTILE] * 3, **{"class": [HOSTILE[:60]] * 3})
    zones = pd.DataFrame([[HOSTILE, HOSTILE, "appeared", 1, 2.0]])
    zones.columns = ["zone", "class", "change", "count", "area_m2"]
    members = {
        "caption": HOSTILE,
        "model": {"id": HOSTILE, "checksum": HOSTILE},
        "options": {"prompts": HOSTILE},
        "colors": {HOSTILE[:60]: "red}*{display:none"},
        "failed_tiles": {HOSTILE: HOSTILE},
        "tiles": {"total": 2, "failed": 1},
    }
    page = Page(
        report_page(
            replace(
                contents(tmp_path, frame, **members),
                title=HOSTILE,
                zones=zones,
                figures=[Figure(HOSTILE, "<svg/>", HOSTILE)],
                notes=[HOSTILE],
            )
        )
    )
    assert len(page.all("script")) == 2
    assert not [element for element in page.elements if "onerror" in element]
    assert page.rows()[0]["text"].count("alert(1)") >= 1
    assert HOSTILE in page.all("h1")[0]["text"]
    assert all("display:none" not in style["text"][-3_000:] for style in page.all("style"))


def test_nothing_is_named_that_lies_elsewhere(tmp_path):
    content = report_page(contents(tmp_path, drawn_changes(5)))
    page = Page(content)
    for element in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            if name in element:
                assert element[name].startswith(("data:", "#")), element
    for style in page.all("style"):
        assert set(re.findall(r"url\((\w+:)", style["text"])) <= {"data:"}
    assert b"@import" not in content


def test_the_policy_allows_this_style_and_script_and_nothing_else(tmp_path):
    page = Page(report_page(contents(tmp_path, drawn_changes(5))))
    (policy,) = (m["content"] for m in page.all("meta") if m.get("http-equiv"))
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["img-src"] == "data:"
    assert "unsafe" not in policy

    def checksum(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert set(parts["style-src"].split()) == {checksum(s["text"]) for s in page.all("style")}
    scripts = [s["text"] for s in page.all("script") if s.get("type") is None]
    assert parts["script-src"].split() == [checksum(text) for text in scripts]
    assert not [element for element in page.elements if "style" in element]


def test_colors_are_those_of_the_classes_or_of_the_user(tmp_path):
    frame = drawn_changes(3, **{"class": ["building", "pool", "solar panel"]})
    members = {"colors": {"pool": "#123456"}}
    page = Page(report_page(contents(tmp_path, frame, **members)))
    style = page.all("style")[0]["text"]
    keys = {row["text"].split()[1]: None for row in page.rows()}
    assert set(keys) >= {"building", "pool", "solar"}
    colors = dict(re.findall(r"\.(k\d+)\{--k:(#\w+)\}", style))
    legend = {row["name"]: row["color"] for row in LEGEND}
    assert set(colors.values()) >= {"#123456", legend["building"]}
    assert len(set(colors.values())) == 3


def test_the_same_result_gives_the_same_page(tmp_path):
    made = contents(tmp_path, drawn_changes(7))
    assert report_page(made) == report_page(made)


def test_cutouts_show_the_place_of_their_change_at_both_dates(tmp_path):
    # The first change lies on the square that turned white.
    page = Page(report_page(contents(tmp_path, drawn_changes(2))))
    cells = [e for e in page.all("i") if "t s0" in e.get("class", "")]
    assert len(cells) == 4
    sprites = page.all("style")[1]["text"]
    address = re.search(r"\.s0\{background-image:url\(data:image/webp;base64,([^)]*)\)", sprites)[1]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(address))).convert("L"))
    side = sheet.shape[1] // 16
    before, after = sheet[:side, :side], sheet[:side, side : 2 * side]
    # 40 x 40 pixels around the change, whose triangle has (14, 5) in it.
    inside = tuple(
        slice(round((n + 11) * side / 40) - 2, round((n + 11) * side / 40) + 2) for n in (5, 14)
    )
    assert after[inside].mean() > 240
    assert before[inside].mean() < 200


def test_areas_and_numbers_are_those_of_all_changes(tmp_path, monkeypatch):
    frame = drawn_changes(30)
    page = Page(report_page(contents(tmp_path, frame)))
    total = math.fsum(frame["area_m2"])
    assert f"{total / 1e4:.2f} ha" in page.all("dl", _class="numbers")[0]["text"]
    monkeypatch.setattr(changes, "MOST_LISTED", 10)
    monkeypatch.setattr(changes.change_table, "__defaults__", (10,))
    short = Page(report_page(contents(tmp_path, frame)))
    assert len(short.rows()) == 10
    assert (
        short.all("dl", _class="numbers")[0]["text"] == page.all("dl", _class="numbers")[0]["text"]
    )
    assert "The 10 largest of 30 changes are listed" in short.all("ul")[0]["text"]
    assert {row["text"].split("ha")[0].split()[-1] for row in short.rows()} == {
        "0.07",
        "0.06",
        "0.05",
    }


def test_what_a_reviewer_rejected_is_struck_through_and_not_counted(tmp_path):
    review = pd.array(["accepted", "rejected", None, "rejected"], "string")
    frame = drawn_changes(4, review=review, review_class=["water", None, None, None])
    page = Page(report_page(contents(tmp_path, frame)))
    assert [row.get("class") for row in page.rows()] == [None, "rejected", None, "rejected"]
    assert "water appeared" in page.rows()[0]["text"]
    assert "2 changes that a reviewer rejected" in page.all("ul")[0]["text"]
    numbers = "".join(page.all("dl", _class="numbers")[0]["text"].split())
    assert numbers.startswith("Changes2Area")
    assert "Reviewed3of4" in numbers
    assert [o["value"] for o in page.all("option")] == ["all", "accepted", "rejected", "none"]


def test_what_misleads_is_said_above_the_map(tmp_path):
    members = {
        "alignment": {"worth_correcting": True, "corrected": False, "magnitude_px": 2.34},
        "not_seen_m2": 12_000.0,
        "tiles": {"total": 9, "read": 7, "failed": 2, "incomplete": 1, "unparsed": 3},
        "failed_tiles": {"r0c1": "no such block", "r2c2": "no such block"},
    }
    page = Page(report_page(contents(tmp_path, drawn_changes(2), **members)))
    told = page.all("section", _class="warnings")[0]["text"]
    for text in (
        "The dates lie 2.3 px apart, and this was not corrected",
        "Cloud, shadow or snow hid 1.2 ha",
        "2 of 9 tiles failed (r0c1, r2c2)",
        "1 of 9 tiles were answered in part only",
        "3 of 9 tiles had answers without sense",
    ):
        assert text in told
    quiet = Page(report_page(contents(tmp_path, drawn_changes(2))))
    assert not quiet.all("section", _class="warnings")


def test_without_pictures_or_changes_there_is_a_page_all_the_same(tmp_path):
    page = Page(report_page(contents(tmp_path, drawn_changes(3), with_pictures=False)))
    assert len(page.rows()) == 3
    assert not page.all("img")
    empty = Page(report_page(contents(tmp_path, drawn_changes(3).iloc[:0])))
    assert not empty.rows()
    assert "There is no change." in empty.all("p", _class="hint")[-1]["text"]


def test_changes_without_confidence_are_said_to_have_none(tmp_path):
    frame = drawn_changes(3, confidence=[np.nan] * 3)
    page = Page(report_page(contents(tmp_path, frame)))
    assert "The model gives no measure of confidence." in page.all("main")[0]["text"]
    assert data_of(page)["columns"]["confidence"] == [None] * 3


def test_zones_and_figures_stand_in_the_page(tmp_path):
    zones = pd.DataFrame(
        {
            "zone": ["North", "South"],
            "class": ["building", None],
            "change": ["appeared", None],
            "count": [1.5, 0],
            "area_m2": [1234.0, None],
        }
    )
    figures = [
        Figure("Course of North", "<svg xmlns='http://www.w3.org/2000/svg'/>", "Said below.")
    ]
    made = replace(contents(tmp_path, drawn_changes(2)), zones=zones, figures=figures)
    page = Page(report_page(made))
    text = page.all("main")[0]["text"]
    assert "North" in text
    assert "1.5" in text
    assert "0.12 ha" in text
    (drawing,) = [e for e in page.all("img") if e["src"].startswith("data:image/svg")]
    assert drawing["alt"] == "Course of North"


def test_of_a_series_the_whole_is_counted_and_each_step_can_be_chosen(tmp_path):
    step = pd.array([1, 2, None, None], "Int64")
    frame = drawn_changes(4, step=step)
    page = Page(report_page(contents(tmp_path, frame)))
    numbers = "".join(page.all("dl", _class="numbers")[0]["text"].split())
    assert numbers.startswith("Changes2Area")
    assert [o["value"] for o in page.all("option")] == ["", "1", "2", "all"]
    assert data_of(page)["columns"]["step"] == [1, 2, None, None]


def test_more_dates_have_a_slider_for_either_side(tmp_path):
    images = image_pair(tmp_path)
    names = [str(images[0]), str(images[1]), str(images[0])]
    pictures = open_pictures(names, GRID)
    frame = drawn_changes(2, step=pd.array([2, None], "Int64"))
    metadata = run_metadata(images)
    made = ReportContents("A title", lambda: [frame], metadata, GRID, pictures)
    page = Page(report_page(made))
    sliders = {e["id"]: e for e in page.all("input", type="range")}
    assert sliders["left-date"]["max"] == "2"
    assert data_of(page)["dates"] == [[1, 2], [0, 2]]
    assert [bool(p["address"]) for p in data_of(page)["pictures"]] == [False, True, False]


def test_rows_without_an_id_or_with_the_same_get_one_of_their_own(tmp_path):
    page = Page(report_page(contents(tmp_path, drawn_changes(3, id=[7, 7, None]))))
    ids = [row["data-id"] for row in page.rows()]
    assert ids[0] == "7"
    assert len(set(ids)) == 3


def test_the_citation_is_that_of_the_project():
    facts = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))
    told = citation.citation(facts["version"])
    assert facts["title"] == citation.TITLE
    assert [author["name"] for author in facts["authors"]] == [citation.AUTHORS]
    assert facts["license"] == citation.LICENSE
    assert all(str(facts[key]) in told.text for key in ("title", "version", "license"))


def test_large_pages_stay_within_their_bytes(tmp_path):
    """Noise is the worst that can be compressed; 5,000 cutouts of it still fit."""
    frame = drawn_changes(1_200)
    images = image_pair(tmp_path)
    pictures = open_pictures(list(map(str, images)), GRID)
    made = ReportContents("A title", lambda: [frame], run_metadata(images), GRID, pictures)
    size = len(report_page(made))
    assert size < 25e6 * 1_200 / 5_000
