"""An analyst's journeys on the real desktop, over two sessions, the second in German."""

import re
from pathlib import Path

import pytest
from desktop import GERMAN, SCREENSHOTS, drive_desktop

SCRIPT = Path(__file__).resolve().parent / "journeys_drive.py"
PICTURES = SCREENSHOTS.parent / "desktop_journeys"
UNFINISHED = "dubai_2018_changes.gpkg"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    here = tmp_path_factory.mktemp("journey")
    told = {}
    for session, settings in (("first", ""), ("second", GERMAN)):
        told[session] = drive_desktop(
            SCRIPT,
            tmp_path_factory.mktemp(session),
            PICTURES,
            more={"GEOCHG_JOURNEY": str(here), "GEOCHG_JOURNEY_SESSION": session},
            settings=settings,
            adds=session == "second",
        )
    return told


def test_a_run_goes_on_after_qgis_was_closed(report):
    assert report["first"]["was_running"]
    assert report["second"]["unfinished"] == [UNFINISHED]
    assert "dubai 2018 changes" in report["second"]["results"]
    assert report["second"]["still_unfinished"] == []


def test_it_is_listed_and_waits_while_another_runs(report):
    told = report["second"]
    assert told["listed_meanwhile"] == [UNFINISHED]
    assert told["waiting"][0] == UNFINISHED
    assert len(set(told["waiting"])) == 2
    assert len(told["results"]) == 3


def test_a_preset_sets_the_options(report):
    assert report["second"]["preset"] == ["cva", 5000]


def test_questions_in_german_are_answered_in_german(report):
    (suggested, first), (_, second), (_, third) = report["second"]["dialogue"]
    assert suggested == "Was hat sich hier geändert?"
    assert first.startswith("Änderungen bedecken")
    assert "Gebäude" in second
    assert re.search(r"auf [\d.,]+ (ha|km²|m²)", third)


def test_an_image_that_is_gone_is_found_again(report):
    assert report["second"]["swipes_again"]


def test_what_cannot_be_edited_is_reviewed_in_a_copy(report):
    assert report["second"]["copy"] == ["result_review.gpkg", 1]
