"""Columns of the tables that geochg writes as CSV, by which it knows them again."""

ZONE_COLUMNS = ("zone", "class", "change", "count", "area_m2")
"""Columns of the table of changes by zone."""

FROM_TO_COLUMNS = (
    *("class", "change", "before_class", "after_class", "zone", "features", "area_m2"),
)
"""Columns of the table of changes by land cover at both dates."""

PERIOD_COLUMNS = ("step", "from_date", "to_date")
"""Columns that stand before those of either table where it is of a series."""
