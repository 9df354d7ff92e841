"""The worker as a process that another program talks to."""

import json
import os
import subprocess
import sys
import time

import pytest
import rasterio
import rasterio.shutil
from pairs import planted_pair
from pyproj import CRS
from worker_process import Worker

import geochg
from geochg.events import PROTOCOL_VERSION
from geochg.files.pipes import LONGEST_LINE_BYTES

SMALL = {"model": "marker", "tile_size_px": 64, "overlap_px": 16, "align": "off"}
SLOW = SMALL | {"model_options": {"delay_s": 0.3}, "batch_size": 1}


@pytest.fixture
def worker(tmp_path):
    process = Worker(tmp_path)
    yield process
    process.kill()


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """One worker for all that must leave no trace in it."""
    process = Worker(tmp_path_factory.mktemp("steady"))
    yield process
    process.kill()


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    names = ("vorher ä 变化.tif", "nachher ö 変化.tif")
    images = zip(names, (before, after), strict=True)
    return dict(zip(("before", "after"), (str(make_raster(*each)) for each in images), strict=True))


def test_hello_tells_versions_and_models(worker):
    told = worker.ask("hello", client="test")
    assert told["protocol"] == PROTOCOL_VERSION
    assert told["geochg"] == geochg.__version__
    assert told["pid"] == worker.process.pid
    own = (("options", "nodata"), ("sample_options", "seed"), ("check_options", "most_shift_m"))
    for kind, name in own:
        assert name in [option["name"] for option in told[kind]]
    assert {model["name"] for model in told["models"]} >= {"builtin", "irmad", "cva", "marker"}
    assert worker.ask("models")["models"] == told["models"]


def test_devices_end_with_the_cpu(worker):
    devices = worker.ask("devices")["devices"]
    assert devices[-1]["device"] == "cpu"
    assert all(each["name"] for each in devices)


def test_describe_tells_what_the_pair_is(worker, pair):
    facts = worker.ask("describe", **pair, options=SMALL)
    assert facts["tiles"] == 24
    assert facts["before"]["path"] == pair["before"]


def test_a_raster_is_taken_in_the_crs_it_is_said_to_be_in(worker, pair):
    told = {name: {"path": path, "crs": "EPSG:32634"} for name, path in pair.items()}
    facts = worker.ask("describe", **told, options=SMALL)
    assert facts["grid"]["crs"] == "EPSG:32634"
    assert worker.ask("describe", **pair, options=SMALL)["grid"]["crs"] == "EPSG:32633"


def test_a_crs_whose_name_holds_an_ampersand_is_taken(worker, pair):
    crs = CRS.from_user_input("EPSG:32634").to_wkt().replace("UTM zone 34N", "Here & there", 1)
    assert "&" in crs
    told = {name: {"path": path, "crs": crs} for name, path in pair.items()}
    facts = worker.ask("describe", **told, options=SMALL)
    assert "Here + there" in facts["grid"]["crs"]


def test_a_question_mark_in_a_name_goes_with_no_other_crs(steady, pair):
    told = {"path": "/vsicurl/https://host/a.tif?key=1", "crs": "EPSG:32634"}
    error = steady.refused("describe", **pair | {"before": told})
    assert "question mark" in error["message"]
    assert error["data"]["hint"]


def test_rasters_that_can_be_opened_are_told(worker, pair, tmp_path):
    empty = tmp_path / "empty.ecw"
    empty.write_bytes(b"")
    rasters = [pair["before"], str(empty), str(tmp_path / "nowhere.tif")]
    assert worker.ask("opens", rasters=rasters) == {"opens": [True, False, False]}
    for wrong in ("a.tif", [1], [""], None):
        assert worker.refused("opens", rasters=wrong)["code"] == -32602


def test_a_raster_that_names_one_elsewhere_opens_where_it_may(worker, pair, tmp_path):
    shut = tmp_path / "shut.vrt"
    rasterio.shutil.copy(pair["before"], shut, driver="VRT")
    # The second overview is never asked for; that it is named is what matters.
    text = shut.read_text().replace(
        "</VRTRasterBand>",
        "<Overview><SourceFilename>/vsicurl/http://127.0.0.1:9/a.tif</SourceFilename>"
        "<SourceBand>1</SourceBand></Overview></VRTRasterBand>",
        1,
    )
    shut.write_text(text)
    assert worker.ask("opens", rasters=[str(shut)]) == {"opens": [False]}
    assert worker.ask("opens", rasters=[str(shut)], allow_remote=True) == {"opens": [True]}
    for wrong in ("yes", 1, None):
        refused = worker.refused("opens", rasters=[str(shut)], allow_remote=wrong)
        assert refused["code"] == -32602


def test_analyze_tells_progress_and_writes_the_files(worker, pair, tmp_path):
    output = tmp_path / "änderungen.geojson"
    result = worker.ask("analyze", **pair, options=SMALL, outputs={"features": str(output)})
    assert result["outputs"] == {"features": str(output)}
    assert result["features"]["count"] == 3
    assert {"class": "building", "change": "appeared", "count": 2} in result["features"]["kinds"]
    assert len(json.loads(output.read_text(encoding="utf-8"))["features"]) == 3
    told = [event["params"] for event in worker.events]
    assert {event["id"] for event in told} == {1}
    tiles = [event for event in told if event.get("stage") == "tiles"]
    assert tiles[0]["done"] == 0
    assert tiles[-1] == {"id": 1, "kind": "progress", "stage": "tiles", "done": 24, "total": 24}


def test_a_cancelled_run_stops_and_can_be_gone_on_with(worker, pair, tmp_path):
    outputs = {"features": str(tmp_path / "c.gpkg")}
    run = worker.send("analyze", **pair, options=SLOW, outputs=outputs)
    while worker.event("progress")["stage"] != "tiles":
        pass
    asked = time.monotonic()
    worker.send("cancel", id=run)
    answers = {}
    while len(answers) < 2:
        message = worker.next()
        if "id" in message:
            answers[message["id"]] = message, time.monotonic() - asked
    (acknowledged, seconds), (ended, _) = answers[run + 1], answers[run]
    assert acknowledged["result"] == {"cancelled": True}
    assert seconds < 1
    assert ended["error"]["code"] == -32800
    assert ended["error"]["data"]["kind"] == "CancelledRunError"
    assert not (tmp_path / "c.gpkg").exists()
    options = SLOW | {"model_options": {"delay_s": 0.3}, "resume": True}
    assert worker.ask("analyze", **pair, options=options, outputs=outputs)["features"]["count"] == 3


def test_a_cancelled_describe_stops_before_its_tiles_are_answered(worker, pair):
    worker.ask("describe", **pair, options=SMALL)  # all is imported
    # The model would take five seconds and more.
    options = SMALL | {"model_options": {"delay_s": 5.0}, "batch_size": 1}
    number = worker.send("describe", **pair, options=options)
    asked = time.monotonic()
    assert worker.ask("cancel", id=number) == {"cancelled": True}
    assert worker.answer(number)["error"]["code"] == -32800
    assert time.monotonic() - asked < 5


def test_hello_is_answered_while_a_run_goes_on(worker, pair, tmp_path):
    outputs = {"features": str(tmp_path / "c.gpkg")}
    run = worker.send("analyze", **pair, options=SLOW, outputs=outputs)
    while worker.event("progress")["stage"] != "tiles":
        pass
    asked = time.monotonic()
    assert worker.ask("hello")["protocol"] == PROTOCOL_VERSION
    assert time.monotonic() - asked < 1
    assert worker.answer(run)["result"]["features"]["count"] == 3


def test_runs_take_turns_and_both_are_done(worker, pair, tmp_path):
    names = ("a.geojson", "b.geojson")
    sent = [
        worker.send("analyze", **pair, options=SMALL, outputs={"features": str(tmp_path / name)})
        for name in names
    ]
    done = {}
    while len(done) < 2:
        message = worker.next()
        if "id" in message:
            done[message["id"]] = message
    assert [done[number]["result"]["features"]["count"] for number in sent] == [3, 3]
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()


def test_answers_come_from_the_features_that_are_named(worker, pair, tmp_path):
    options = {"model": "cva", "tile_size_px": 64}
    output = tmp_path / "c.gpkg"
    made = worker.ask("analyze", **pair, options=options, outputs={"features": str(output)})
    question = {"options": options, "question": "How many changes?"}
    for named in (f"{output}|layername=changes", "c.gpkg|layername=changes"):
        answer = worker.ask("ask", **pair, **question, features=named, folder=str(tmp_path))
        assert answer["answer"].startswith(str(made["features"]["count"]))
    nothing = f"{output}|layername=changes|subset=area_m2 < 0"
    assert "Nothing" in worker.ask("ask", **pair, **question, features=nothing)["answer"]
    assert worker.refused("ask", **pair, **question, features="c.gpkg")["code"] == -32602
    assert worker.refused("ask", **pair, **question, features=7)["code"] == -32602


def test_tables_are_told_and_written_with_paths_from_the_folder(worker, pair, tmp_path):
    outputs = {"features": str(tmp_path / "c.gpkg")}
    worker.ask("analyze", **pair, options=SMALL, outputs=outputs)
    zone = [[[14.0, 40.0], [15.01, 40.0], [15.01, 50.0], [14.0, 50.0], [14.0, 40.0]]]
    feature = {
        "type": "Feature",
        "properties": {"label": "west"},
        "geometry": {"type": "Polygon", "coordinates": zone},
    }
    zones = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "z.geojson").write_text(json.dumps(zones), encoding="utf-8")
    request = {"features": "c.gpkg|layername=changes", "zones": "z.geojson", "zone_name": "label"}
    told = worker.ask("tables", **request, outputs={"table": "t.csv"}, folder=str(tmp_path))
    assert told["features"] == 3
    assert told["table"]["columns"][-1] == "area_m2"
    assert told["zones"]["columns"][0] == "zone"
    assert {row[0] for row in told["zones"]["data"]} == {"west", ""}
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(told["table"]["data"])
    (tmp_path / "t.csv").write_text("mine", encoding="utf-8")
    again = {**request, "outputs": {"table": "t.csv"}, "folder": str(tmp_path)}
    assert "did not write it" in worker.refused("tables", **again)["message"]
    assert worker.ask("tables", **again, overwrite=True)["rejected"] == 0
    for wrong in ({"features": 7}, {"zones": ["z"]}, {"outputs": {"heatmap": "h.tif"}}, {"x": 1}):
        assert worker.refused("tables", **{**again, **wrong})["code"] == -32602
    del again["folder"]
    assert "relative path" in worker.refused("tables", **again)["message"]


def test_a_report_is_written_with_paths_from_the_folder(worker, pair, tmp_path):
    worker.ask("analyze", **pair, options=SMALL, outputs={"features": str(tmp_path / "c.gpkg")})
    request = {"features": "c.gpkg|layername=changes", "output": "r.html", "folder": str(tmp_path)}
    result = worker.ask("report", **request, title="Our place")
    path = tmp_path / "r.html"
    assert result == {"report": str(path), "features": 3, "pictures": 2, "notes": []}
    text = path.read_text(encoding="utf-8")
    assert "<h1>Our place</h1>" in text
    assert text.count("data-id=") == 3
    assert worker.ask("report", **request, **pair, rejected=False)["pictures"] == 2
    assert worker.refused("report", **request, before="none.tif")["data"]["kind"] == "InputError"
    path.write_text("mine", encoding="utf-8")
    assert "did not write it" in worker.refused("report", **request)["message"]
    assert worker.ask("report", **request, overwrite=True)["features"] == 3
    for wrong in ({"features": 7}, {"output": ""}, {"rejected": "no"}, {"x": 1}, {"before": 2}):
        assert worker.refused("report", **{**request, **wrong})["code"] == -32602
    del request["folder"]
    assert "relative path" in worker.refused("report", **request)["message"]


def test_a_sample_is_drawn_and_assessed_with_paths_from_the_folder(worker, pair, tmp_path):
    layer = str(tmp_path / "c.gpkg")
    worker.ask("analyze", **pair, options=SMALL, outputs={"features": layer})
    names = {"folder": str(tmp_path), "features": "c.gpkg|layername=changes"}
    sampling = {"units": 40, "seed": 3}
    drawn = worker.ask("draw_sample", **names, output="s.gpkg", sampling=sampling)
    assert drawn["sample"] == str(tmp_path / "s.gpkg")
    assert sum(row["units"] for row in drawn["geochg"]["strata"]) == 40
    assert any(event["params"]["kind"] == "progress" for event in worker.events)
    asked = {**names, "sample": "s.gpkg"}
    assert "has no judgement" in worker.refused("assess_sample", **asked)["message"]
    table = tmp_path / "v.csv"
    rows = [f"{unit},,unchanged" for unit in range(1, 41)]
    table.write_text("\n".join(["id,reference_class,reference_change", *rows]))
    asked |= {"verdicts": "v.csv", "output": "a.html"}
    told = worker.ask("assess_sample", **asked)
    assert told["assessment"] == str(tmp_path / "a.html")
    assert 0 < told["overall"]["low"] <= told["overall"]["value"] < 1
    assert "Accuracy" in (tmp_path / "a.html").read_text(encoding="utf-8")
    for wrong in ({"sampling": 7}, {"sampling": {"nosuch": 1}}, {"output": "s.csv"}):
        request = {**names, "output": "t.gpkg", **wrong}
        assert worker.refused("draw_sample", **request)["message"]
    assert (
        "relative path" in worker.refused("assess_sample", **{**asked, "folder": None})["message"]
    )


def test_ask_streams_and_takes_what_was_said_before(worker, pair):
    place = {"at": [15.01, 45.14], "options": SMALL}
    first = worker.ask("ask", **pair, **place, question="What changed?")
    place_event, *piece_events = [event["params"] for event in worker.events]
    assert place_event["outline"] == first["outline"]
    lons, lats = zip(*first["outline"], strict=True)
    assert min(lons) < 15.01 < max(lons)
    assert min(lats) < 45.14 < max(lats)
    pieces = [event["text"] for event in piece_events]
    assert "".join(pieces).strip() == first["answer"]
    assert first["answer"]
    said = [["What changed?", first["answer"]]]
    again = worker.ask("ask", **pair, **place, question="What changed?", exchanges=said)
    assert again["answer"] == first["answer"]


def test_stdin_that_ends_ends_the_worker_and_keeps_the_journal(worker, pair, tmp_path):
    output = tmp_path / "c.gpkg"
    options = SLOW | {"model_options": {"delay_s": 2.0}}
    worker.send("analyze", **pair, options=options, outputs={"features": str(output)})
    progress = worker.event("progress")
    while progress["stage"] != "tiles" or not progress["done"]:
        progress = worker.event("progress")
    asked = time.monotonic()
    assert worker.leave() == 0
    assert time.monotonic() - asked < 5
    assert not output.exists()
    assert output.with_name("c.gpkg.journal").exists()


def test_a_worker_with_nothing_to_do_leaves_at_once(worker):
    worker.ask("hello")
    asked = time.monotonic()
    assert worker.leave() == 0
    assert time.monotonic() - asked < 2


def test_what_was_asked_just_before_the_end_is_still_answered(worker):
    number = worker.send("hello")
    worker.process.stdin.close()
    assert worker.answer(number)["result"]["protocol"] == PROTOCOL_VERSION


@pytest.fixture
def unread(tmp_path):
    """Starts a worker whose stdout nobody reads."""
    processes = []

    def make():
        with (tmp_path / "worker.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "geochg_cli", "worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            )
        return processes[-1]

    yield make
    for process in processes:
        process.kill()
        process.wait()


def test_a_worker_nobody_reads_leaves_when_stdin_ends(unread):
    process = unread()
    # More than any pipe holds, of answers that the thread which reads stdin gives itself.
    for _ in range(3000):
        process.stdin.write(b"garbage\n")
    process.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    asked = time.monotonic()
    process.stdin.close()
    assert process.wait(20) == 0
    assert time.monotonic() - asked < 5


def test_a_worker_that_is_asked_for_ever_and_never_read_leaves(unread):
    process = unread()

    def ask():
        for _ in range(10_000):
            process.stdin.write(b"garbage\n" * 1000)

    with pytest.raises(OSError, match=r"[Pp]ipe|Invalid"):
        ask()
    assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"garbage", -32700),
        (b"\xff\xfe\x00", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "hello"', -32700),
        (b'{"jsonrpc": "2.0", "id": NaN, "method": "hello"}', -32700),
        (b"[" * 100_000, -32700),
        (b"9" * 10_000, -32700),
        (b"[]", -32600),
        (b"42", -32600),
        (b'{"id": 1, "method": "hello"}', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 7}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "dance"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "hello", "params": [1]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "models", "params": {"x": 1}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "cancel"}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "cancel", "params": {"id": true}}', -32602),
        (b'{"jsonrpc": "2.0", "id": "' + b"x" * LONGEST_LINE_BYTES + b'"}', -32600),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_request_is_answered_with_an_error(steady, line, code):
    steady.write(line + b"\r\n")
    error = steady.next()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["data"]["hint"]
    assert len(json.dumps(error)) < 2000
    assert steady.ask("hello")["protocol"] == PROTOCOL_VERSION


@pytest.mark.parametrize(
    ("changed", "code", "names"),
    [
        ({"before": 7}, -32602, "'before'"),
        ({"before": {"path": "x.tif"}}, -32602, "'before'"),
        ({"before": os.path.abspath("missing.tif")}, -32002, "missing"),
        ({"before": "missing.tif"}, -32602, "relative"),
        ({"folder": "here"}, -32602, "'folder'"),
        ({"before": "missing \x00.tif"}, -32602, "'before'"),
        ({"before": "\ud800.tif"}, None, ""),
        ({"options": []}, -32602, "'options'"),
        ({"options": {"modle": "x"}}, -32002, "'modle'"),
        ({"options": {"model": "nosuch"}}, -32002, "nosuch"),
        ({"outputs": {}}, -32602, "'outputs'"),
        ({"outputs": {"features": 1}}, -32602, "'features'"),
        ({"outputs": {"picture": "x.png"}}, -32602, "'picture'"),
        ({"outputs": {"features": os.path.abspath("no/such/folder/x.gpkg")}}, -32002, "folder"),
        ({"outputs": {"features": "x.gpkg"}}, -32602, "relative"),
        ({"colour": "red"}, -32602, "'colour'"),
    ],
)
def test_parameters_that_make_no_sense(steady, pair, tmp_path, changed, code, names):
    good = {**pair, "options": SMALL, "outputs": {"features": str(tmp_path / "c.gpkg")}}
    error = steady.refused("analyze", **{**good, **changed})
    assert code is None or error["code"] == code
    assert names in error["message"]
    assert error["data"]["hint"]
    assert steady.ask("hello")["protocol"] == PROTOCOL_VERSION


@pytest.mark.parametrize(
    "changed",
    [
        {"question": ""},
        {"at": [1]},
        {"at": ["a", 1]},
        {"at": [True, False]},
        {"exchanges": "x"},
        {"exchanges": [["only a question"]]},
    ],
)
def test_questions_that_make_no_sense(steady, pair, changed):
    good = {**pair, "options": SMALL, "question": "What changed?"}
    error = steady.refused("ask", **{**good, **changed})
    assert error["code"] == -32602
    assert next(iter(changed)) in error["message"]


def test_requests_under_way_are_bounded_and_have_ids_of_their_own(worker, pair, tmp_path):
    options = SLOW | {"model_options": {"delay_s": 1.0}}
    outputs = {"features": str(tmp_path / "c.gpkg")}
    run = worker.send("analyze", **pair, options=options, outputs=outputs)
    worker.event("progress")
    worker._last -= 1
    assert worker.send("hello") == run
    message = worker.answer(run)
    assert "under way" in message["error"]["message"]
    waiting = [worker.send("analyze", **pair, options=options, outputs=outputs) for _ in range(16)]
    error = worker.answer(waiting[-1])["error"]
    assert error["code"] == -32002
    assert "16 requests" in error["message"]


def test_prints_of_anyone_stay_out_of_the_messages(tmp_path, make_raster, pair):
    """C's stdout too: a plugin that writes to file descriptor 1."""
    loud = tmp_path / "loud"
    info = loud / "geochg_loud-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: geochg-loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[geochg.models]\nloud = geochg_loud:Loud\n")
    (loud / "geochg_loud.py").write_text(
        "import os, sys\nprint('a print')\nos.write(1, b'a native print\\n')\n"
        "sys.stdin.read()\nraise ImportError('loud')\n"
    )
    worker = Worker(tmp_path, path=loud)
    try:
        models = worker.ask("hello")["models"]
        assert "loud" in next(m["broken"] for m in models if m["name"] == "loud")
        log = worker.log.read_text()
        assert "a print" in log
        assert "a native print" in log
    finally:
        worker.kill()


def test_a_request_without_an_id_is_not_answered(worker):
    worker.write(b'{"jsonrpc": "2.0", "method": "hello"}\n\n   \n')
    worker.write(b'{"jsonrpc": "2.0", "method": "cancel", "params": {"id": 99}}\n')
    worker.write(b'{"jsonrpc": "2.0", "method": "dance"}\n')
    worker.write(b'{"jsonrpc": "2.0", "method": "cancel"}\n')
    worker.write(b'{"jsonrpc": "2.0", "method": "hello", "params": [1]}\n')
    number = worker.send("cancel", id=99)
    told = worker.next()
    assert (told["id"], told["result"]) == (number, {"cancelled": False})


@pytest.mark.parametrize(
    "wrong",
    [
        {"before": "a\x00b.tif"},
        {"before": "a\ud83c.tif"},
        {"before": "a" * 300 + ".tif"},
        {"before": "a" * 10_000},
        {"before": ""},
        {"outputs": {"features": "/tmp/o\x00.geojson"}},
        {"outputs": {"features": "/tmp/o\ud83c.geojson"}},
        {"outputs": {"features": "/tmp/" + "o" * 300 + ".geojson"}},
        *(
            {"options": SMALL | each}
            for each in (
                {"aoi": "a\x00b"},
                {"crs": "\ud83c"},
                {"model": "vlm:a\x00b"},
                {"tile_size_px": 10**30},
                {"workers": 10**9},
                {"resolution": 1e-9},
                {"bands": [1, 2]},
                {"prompts": []},
                {"prompts": {"presence": 5}},
                {"model_options": "x"},
                {"min_area_m2": 10**400},
            )
        ),
    ],
)
def test_what_is_simply_wrong_is_refused(steady, pair, tmp_path, wrong):
    given = {
        **pair,
        "outputs": {"features": str(tmp_path / "o.geojson")},
        "options": SMALL,
        **wrong,
    }
    error = steady.refused("analyze", **given)
    assert error["code"] in (-32002, -32602)
    assert "\x00" not in error["message"]
    assert len(error["message"]) < 2100


@pytest.mark.parametrize("at", [[1e308, 1e308], [10**400, 0], [0, 91], [541, 0]])
def test_places_that_are_none_are_refused(steady, pair, at):
    error = steady.refused("ask", **pair, question="What?", at=at, options=SMALL)
    assert error["code"] in (-32002, -32602)
