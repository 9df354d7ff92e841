"""The page in a browser: what people do with it, and that it asks nobody for anything."""

import csv
import io
import json
import os
import sys
import time

import pandas as pd
import pytest
from chromium import Browser, chromium_path, installed_chromium
from report_pages import (
    CONTRAST,
    GRID,
    HOSTILE,
    drawn_changes,
    image_pair,
    open_pictures,
    run_metadata,
)

from geochg.report.contents import Figure, ReportContents
from geochg.report.page import report_page

REASON = "there is no Chromium here, and apt may not install it (sudo apt-get install chromium)"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="drives Chromium over Unix pipes")


@pytest.fixture(scope="module", autouse=True)
def chromium():
    """Chromium, installed where that is allowed; else these tests are skipped and say why."""
    if installed_chromium() is None:
        if os.environ.get("GEOCHG_REQUIRE_CHROMIUM"):
            pytest.fail(REASON)
        pytest.skip(REASON)
    assert chromium_path() is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


def written(folder, name, frame, dates=2, **members):
    """A report of these changes."""
    images = image_pair(folder)
    names = [str(images[n % 2]) for n in range(dates)]
    made = ReportContents(
        "What changed",
        lambda: [frame],
        run_metadata(images, **members),
        GRID,
        open_pictures(names, GRID) if dates else (),
        figures=[
            Figure("A course", "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
        ],
    )
    path = folder / name
    path.write_bytes(report_page(made))
    return path


@pytest.fixture(scope="module")
def page(folder):
    """Twelve changes of three classes, one with a text that would like to run, one a formula."""
    captions = [f"Change {n + 1} of the place." for n in range(12)]
    captions[4], captions[6] = HOSTILE, '=HYPERLINK("https://e.example")'
    review = ["accepted", "rejected", *[None] * 10]
    frame = drawn_changes(12, caption=captions, review=pd.array(review, "string"))
    return written(folder, "page.html", frame)


@pytest.fixture(scope="module")
def shared(folder, page):
    with Browser(folder / "browser") as browser:
        yield browser
        # Whatever the tests did, nothing was asked for, no script failed and nothing was blocked.
        assert [url for url in browser.requests if not url.startswith(("data:", "blob:"))] == (
            [page.as_uri()] * browser.requests.count(page.as_uri())
        )
        assert browser.messages == []


@pytest.fixture
def browser(shared, page):
    """The page, opened anew."""
    shared.open(page)
    return shared


def shown(browser):
    """Ids of the rows that are shown, in their order."""
    return browser.run(
        "[...document.querySelectorAll('#changes tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.dataset.id)"
    )


def set_value(browser, selector, value):
    """Sets a field as its user would."""
    browser.run(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
        f" e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def clip(browser):
    """The share of the map, in per cent, that the earlier image is cut to."""
    code = "getComputedStyle(document.querySelector('.pane.left')).clipPath"
    inset = browser.run(code).removeprefix("inset(").split()
    width = browser.run("document.querySelector('#viewer').clientWidth")
    text = " ".join(inset)
    hidden = browser.run(
        "(() => { const probe = document.createElement('div'); const viewer ="
        " document.querySelector('#viewer'); viewer.append(probe); probe.style.position ="
        " 'absolute'; probe.style.width = 'calc(100% - var(--swipe, 50%))';"
        " const w = probe.getBoundingClientRect().width; probe.remove(); return w; })()"
    )
    assert "calc(" in text or "%" in text
    return 100 * (1 - hidden / width)


def test_every_change_is_in_the_page_before_any_script_runs(folder, page):
    with Browser(folder / "without") as browser:
        browser.send("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        document = browser.send("DOM.getDocument")["root"]["nodeId"]
        rows = browser.send("DOM.querySelectorAll", nodeId=document, selector="[data-id]")
        assert len(rows["nodeIds"]) == 12


def test_the_slider_swipes_by_keyboard_and_by_its_value(browser):
    browser.run("document.querySelector('#swipe').focus()")
    assert clip(browser) == pytest.approx(50, abs=1)
    for _ in range(10):
        browser.press("ArrowRight")
    assert clip(browser) == pytest.approx(60, abs=1)
    assert "60 %" in browser.run("document.querySelector('#swipe').ariaValueText")
    set_value(browser, "#swipe", "15")
    assert clip(browser) == pytest.approx(15, abs=1)


def test_the_handle_and_the_map_swipe_by_mouse(browser):
    x, y = browser.middle("#handle")
    width = browser.run("document.querySelector('#viewer').clientWidth")
    browser.drag((x, y), (x + width / 4, y))
    assert clip(browser) == pytest.approx(75, abs=2)
    assert browser.run("document.querySelector('#swipe').value") == "75"
    left = x - width / 2
    browser.drag((left + width * 0.6, y + 40), (left + width * 0.3, y + 40))
    assert clip(browser) == pytest.approx(30, abs=2)


def test_both_dates_are_seen_beside_the_handle(browser, folder):
    import numpy as np
    from PIL import Image

    browser.run("document.querySelector('#outlines').click()")
    x, y = browser.middle("#viewer")
    picture = folder / "swiped.png"
    browser.picture(picture)
    pixels = np.asarray(Image.open(picture).convert("L")).astype(float)
    # The later image is half as bright as the earlier one.
    left = pixels[int(y) - 80 : int(y) + 80, int(x) - 150 : int(x) - 30].mean()
    right = pixels[int(y) - 80 : int(y) + 80, int(x) + 30 : int(x) + 150].mean()
    assert left > 1.4 * right


def test_touch_swipes(folder, page):
    with Browser(folder / "touch", (360, 740), touch=True) as browser:
        browser.open(page)
        x, y = browser.middle("#handle")
        browser.touch_drag((x, y), (x - 90, y))
        width = browser.run("document.querySelector('#viewer').clientWidth")
        assert clip(browser) == pytest.approx(50 - 100 * 90 / width, abs=3)
        assert browser.messages == []
        # Nothing is wider than the telephone.
        assert browser.run("document.documentElement.scrollWidth") == 360


def test_filters_hide_rows_and_outlines_together(browser):
    assert len(shown(browser)) == 12
    browser.run("document.querySelector('#filters input[name=class]').click()")
    assert len(shown(browser)) == 8
    hidden = "document.querySelectorAll('#shapes path.off').length"
    assert browser.run(hidden) == 4
    told = browser.run("document.querySelector('#shown').textContent")
    assert told.startswith("8 of 12 shown, 0.")
    browser.run("document.querySelector('#filters button[type=reset]').click()")
    time.sleep(0.1)
    assert len(shown(browser)) == 12
    assert browser.run(hidden) == 0
    set_value(browser, "#words", "change 7")
    assert shown(browser) == []
    set_value(browser, "#words", "change 8 PLACE")
    assert shown(browser) == ["8"]
    set_value(browser, "#words", "")
    set_value(browser, "#review", "rejected")
    assert shown(browser) == ["2"]
    set_value(browser, "#review", "all")
    least = browser.run(
        "JSON.parse(document.querySelector('#data').textContent).columns.confidence"
    )
    set_value(browser, "#least", "0.5")
    assert len(shown(browser)) == sum(value >= 0.5 for value in least)


def test_lists_are_sorted_by_their_heads(browser):
    browser.run("document.querySelector('th[data-key=area] button').click()")
    areas = browser.run("JSON.parse(document.querySelector('#data').textContent).columns.area_m2")
    order = shown(browser)
    assert [areas[int(n) - 1] for n in order] == sorted(areas, reverse=True)
    sort = "document.querySelector('th[data-key=area]').ariaSort"
    assert browser.run(sort) == "descending"
    browser.run("document.querySelector('th[data-key=area] button').click()")
    assert [areas[int(n) - 1] for n in shown(browser)] == sorted(areas)
    assert browser.run(sort) == "ascending"
    assert browser.run("document.querySelectorAll('th[aria-sort]').length") == 1
    browser.run("document.querySelector('th[data-key=order] button').click()")
    assert shown(browser) == [str(n) for n in range(1, 13)]


def test_a_row_shows_its_change_on_the_map_and_the_map_its_row(browser):
    browser.click("tr[data-id='7'] .caption")
    chosen = "document.querySelector('[aria-selected=true]').dataset.id"
    assert browser.run(chosen) == "7"
    box = browser.run("document.querySelector('#drawing').viewBox.baseVal.width")
    assert box < 200
    assert "number 7" in browser.run("document.querySelector('#detail').textContent")
    assert browser.run("document.querySelectorAll('#detail .t').length") == 2
    frame = browser.run("Number(document.querySelector('#frame').getAttribute('width'))")
    assert frame == pytest.approx(box)
    browser.run("document.querySelector('#zoom-all').click()")
    assert browser.run("document.querySelector('#drawing').viewBox.baseVal.width") >= 300
    browser.middle("#viewer")
    x, y = browser.run(
        "(() => { const p = document.querySelectorAll('#shapes path')[1];"
        " const b = p.getBBox(); const m = document.querySelector('#drawing').getScreenCTM();"
        " const q = new DOMPoint(b.x + b.width * 0.7, b.y + b.height * 0.4).matrixTransform(m);"
        " return [q.x, q.y]; })()"
    )
    browser.mouse("mousePressed", x, y)
    browser.mouse("mouseReleased", x, y)
    assert browser.run(chosen) == "2"


def test_the_list_and_the_map_work_by_keyboard(browser):
    browser.run("document.querySelector('tr[data-id]').focus()")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        browser.press(key)
    active = "document.activeElement.dataset.id"
    assert browser.run(active) == "3"
    assert browser.run("document.querySelector('[aria-selected=true]').dataset.id") == "3"
    browser.press("End")
    assert browser.run(active) == "12"
    assert browser.run("document.querySelectorAll('tr[tabindex=\"0\"]').length") == 1
    browser.run("document.querySelector('#viewer').focus()")
    browser.press("0")
    whole = browser.run("document.querySelector('#drawing').viewBox.baseVal.width")
    browser.press("+")
    zoomed = (
        "[...document.querySelector('#drawing').getAttribute('viewBox').split(' ')].map(Number)"
    )
    left, _, width, _ = browser.run(zoomed)
    assert width == pytest.approx(whole / 1.6)
    browser.press("ArrowRight")
    assert browser.run(zoomed)[0] > left
    browser.press("o")
    assert browser.run("document.querySelector('#outlines').ariaPressed") == "false"
    assert browser.run("getComputedStyle(document.querySelector('#shapes')).display") == "none"


def test_the_table_is_saved_offline_without_formulas(browser):
    set_value(browser, "#words", "")
    browser.run("document.querySelector('th[data-key=area] button').click()")
    browser.run("document.querySelector('#save-csv').click()")
    path, end = browser.downloads / "changes.csv", time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        browser.run("1")
        time.sleep(0.05)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    path.unlink()
    assert [row["id"] for row in rows] == shown(browser)
    by_id = {row["id"]: row for row in rows}
    assert by_id["7"]["caption"] == '\'=HYPERLINK("https://e.example")'
    assert by_id["5"]["caption"].startswith("</script>")
    assert by_id["1"]["class"] == "building"
    assert float(by_id["1"]["longitude"]) == pytest.approx(15, abs=0.1)
    assert float(by_id["3"]["area_m2"]) == 300


def test_a_hostile_text_is_shown_and_does_not_run(browser):
    row = browser.run("document.querySelector('tr[data-id=\"5\"] .caption').textContent")
    assert "<script>alert(1)</script>" in row
    assert browser.run("document.querySelectorAll('img[onerror]').length") == 0


def test_a_page_that_was_tampered_with_runs_and_fetches_nothing(folder, page):
    """The policy holds against what might get through the escaping."""
    planted = "<script>window.ran = 1</script><img src='https://e.example/x.png'><style>*{}</style>"
    path = folder / "tampered.html"
    path.write_text(page.read_text().replace("</main>", f"{planted}</main>"))
    with Browser(folder / "tampered") as browser:
        browser.open(path)
        assert browser.run("window.ran") is None
        blocked = [text for text in browser.messages if "Content Security Policy" in text]
        assert len(blocked) == 3
        assert not browser.run(
            "document.querySelector('img[src^=https]').complete && "
            "document.querySelector('img[src^=https]').naturalWidth"
        )


def test_it_prints_with_both_dates_and_every_change(browser, folder):
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    browser.send("Emulation.setEmulatedMedia", media="print")
    try:
        places = browser.run(
            "[...document.querySelectorAll('.pane img, #drawing')].map(e => {"
            " const r = e.getBoundingClientRect(); return [r.x, r.width, r.height]; })"
        )
        right, left, drawing = places
        assert left[0] + left[1] <= right[0]
        assert drawing == pytest.approx(right, abs=2)
        heights = browser.run(
            "[...document.querySelectorAll('tr[data-id]')].map(r => r.offsetHeight)"
        )
        assert min(heights) > 20
        assert browser.run("document.querySelector('#rows').scrollHeight") == browser.run(
            "document.querySelector('#rows').clientHeight"
        )
    finally:
        browser.send("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_from_what_is_behind_them(folder, page, dark):
    """The contrast that WCAG 2.1 asks of texts (level AA): 4.5."""
    with Browser(folder / f"contrast{dark}", dark=dark) as browser:
        browser.open(page)
        low = browser.run(CONTRAST)
        background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert low == []
    channel = int(background.removeprefix("rgb(").split(",")[0])
    assert channel < 60 if dark else channel > 200


def test_controls_have_names_and_tables_heads(browser):
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {}
    for node in nodes:
        if not node.get("ignored"):
            name = node.get("name", {}).get("value", "")
            roles.setdefault(node["role"]["value"], []).append(name)
    for role in ("button", "slider", "checkbox", "searchbox", "combobox", "grid", "columnheader"):
        assert roles.get(role), role
        assert all(roles[role]), (role, roles[role])
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("document.querySelectorAll('h1').length") == 1


def test_without_pictures_the_outlines_can_be_chosen(folder):
    path = written(folder, "blank.html", drawn_changes(4), dates=0)
    with Browser(folder / "blank") as browser:
        browser.open(path)
        browser.click("tr[data-id='3'] .caption")
        assert browser.run("document.querySelector('[aria-selected=true]').dataset.id") == "3"
        assert browser.messages == []


def test_of_more_dates_two_are_chosen_and_a_step_shows_its_own(folder):
    step = pd.array([1, 2, None, None], "Int64")
    path = written(folder, "series.html", drawn_changes(4, step=step), dates=3)
    with Browser(folder / "series") as browser:
        browser.open(path)
        assert shown(browser) == ["3", "4"]
        source = "document.querySelector('#left').src"
        first = browser.run(source)
        set_value(browser, "#left-date", "1")
        assert browser.run(source) != first
        set_value(browser, "#period", "2")
        assert shown(browser) == ["2"]
        browser.click("tr[data-id='2'] .caption")
        dates = "['left', 'right'].map(n => document.querySelector(`#${n}-date`).value)"
        assert browser.run(dates) == ["1", "2"]
        assert browser.messages == []
