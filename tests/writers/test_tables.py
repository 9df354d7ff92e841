"""Tables as CSV: numbers as they are, texts that no spreadsheet computes."""

import csv

import pandas as pd
import pytest

from geochg.errors import InputError
from geochg.files.table_columns import FROM_TO_COLUMNS, PERIOD_COLUMNS, ZONE_COLUMNS
from geochg.writers.checks import Output, check_outputs
from geochg.writers.recognition import is_ours
from geochg.writers.tables import TABLE_SUFFIXES, csv_text, write_table


def frame(names, areas=None):
    areas = areas or [1.5] * len(names)
    return pd.DataFrame(
        {
            "zone": pd.Series(names, dtype="string"),
            "count": pd.Series(range(len(names)), dtype="int64"),
            "area_m2": pd.Series(areas, dtype="float64"),
        }
    )


@pytest.mark.parametrize(
    "name", ["=1+1", "+cmd|' /C calc'!A0", "-north", "@SUM(A1)", "  =1", "\t=1", "\n=1", "\r=1"]
)
def test_what_a_spreadsheet_would_compute_is_text(name):
    cell = list(csv.reader(csv_text(frame([name])).splitlines()))[1][0]
    assert cell.startswith("'")


@pytest.mark.parametrize("name", ["-5", "+3.5", "north", "a=b", "Äcker, 'süd' \"x\"", "007"])
def test_other_names_stay_as_they_are(name):
    cell = list(csv.reader(csv_text(frame([name])).splitlines()))[1][0]
    assert cell == name


def test_numbers_have_points_and_no_exponents_and_missing_values_are_empty():
    text = csv_text(frame(["a", None, "c"], [1e-7, float("nan"), 1e17]))
    rows = list(csv.DictReader(text.splitlines()))
    assert rows[0]["area_m2"] == "0.0000001"
    assert rows[1] == {"zone": "", "count": "1", "area_m2": ""}
    assert float(rows[2]["area_m2"]) == 1e17
    assert "e" not in rows[2]["area_m2"]


@pytest.mark.parametrize("series", [(), PERIOD_COLUMNS])
@pytest.mark.parametrize("columns", [ZONE_COLUMNS, FROM_TO_COLUMNS])
def test_a_table_is_known_again_by_all_of_its_columns(tmp_path, columns, series):
    table = pd.DataFrame(columns=[*series, *columns])
    write_table(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == (",".join([*series, *columns]) + "\n").encode()
    assert is_ours(tmp_path / "t.csv")
    check_outputs([Output(tmp_path / "t.csv", TABLE_SUFFIXES)], [])
    (tmp_path / "t.csv").write_text(",".join([*series, *columns, "mine"]) + "\n")
    assert not is_ours(tmp_path / "t.csv")
    with pytest.raises(InputError, match="did not write it"):
        check_outputs([Output(tmp_path / "t.csv", TABLE_SUFFIXES)], [])
