"""Layers of drawn changes, their images, and pages that are made of them."""

from html.parser import HTMLParser

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, UTM, put, texture

from geochg.options import AnalyzeOptions
from geochg.report.pictures import pictures_of
from geochg.tiling.source import read_source

HEIGHT, WIDTH = 200, 300
GRID = GeoBox((HEIGHT, WIDTH), ORIGIN, UTM)
CLASSES = ("building", "water", "vegetation")
CHANGES = ("appeared", "disappeared", "altered")
HOSTILE = "</script><script>alert(1)</script><img src=https://e.example/x onerror=alert(2)>\"'&"


def drawn_changes(count=12, seed=0, **columns):
    """So many changes of 8 x 8 pixels or so, in rows over the grid, as a run would write them."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    shapes, pixels = [], max(2, min(16, HEIGHT // side - 2))
    for number in range(count):
        row, col = divmod(number, side)
        left, top = col * WIDTH / side + 1, row * HEIGHT / side + 1
        points = [ORIGIN * (left + x, top + y) for x, y in ((0, 0), (pixels, 0), (pixels, pixels))]
        shapes.append(shapely.Polygon(points))
    values = {
        "id": np.arange(1, count + 1),
        "class": pd.array([CLASSES[n % 3] for n in range(count)], "string"),
        "change": pd.array([CHANGES[n % 3] for n in range(count)], "string"),
        "before_class": pd.array([None] * count, "string"),
        "after_class": pd.array(["building"] * count, "string"),
        "from_date": pd.array(["2020-06-01"] * count, "string"),
        "to_date": pd.array(["2021-06-01"] * count, "string"),
        "confidence": rng.random(count).round(4),
        "change_confidence": pd.array([None] * count, "Float64").astype("float64"),
        "caption": pd.array([f"Change {n + 1} of the place." for n in range(count)], "string"),
        "count": pd.array([None] * count, "Int64"),
        "area_m2": np.round([100.0 * (n % 7 + 1) for n in range(count)], 1),
        "tiles": [["r0c0"]] * count,
        "cells": [["r0c0/center"]] * count,
    }
    return gpd.GeoDataFrame({**values, **columns}, geometry=shapes, crs=UTM)


def image_pair(folder, seed=0):
    """Two images of the grid, on disk: the later has a white square near its top left corner."""
    before = texture(HEIGHT, WIDTH, 3, seed)
    after = before // 2
    after[:, 1:19, 1:19] = 250
    return put(folder / "before.tif", before), put(folder / "after.tif", after)


def open_pictures(names, grid):
    """Images as the pictures of a report, as a run with the usual options shows them."""
    return pictures_of([read_source(name) for name in names], grid, AnalyzeOptions())


def run_metadata(images, **members):
    """The `geochg` member of a run on two images."""
    sources = {
        name: {
            "path": str(path),
            "size_bytes": path.stat().st_size,
            "crs": UTM,
            "acquired": None,
            "date": date,
        }
        for (name, date), path in zip(
            (("before", "2020-06-01"), ("after", "2021-06-01")), images, strict=True
        )
    }
    return {
        "version": "0.1.0",
        "model": {"id": "builtin", "checksum": "sha256:0", "adapter": "", "precision": ""},
        "questions": {},
        "sources": sources,
        "options": {"bands": ["1", "2", "3"], "dates": [], "nodata": [], "match": False},
        "grid": {
            "crs": UTM,
            "transform": list(ORIGIN[:6]),
            "width_px": WIDTH,
            "height_px": HEIGHT,
        },
        "bands": ["red", "green", "blue"],
        "alignment": None,
        "matching": None,
        "tiles": {"total": 4, "read": 4, "changed": 2, "failed": 0},
        "not_seen_m2": 0.0,
        "failed_tiles": {},
        "caption": "Buildings appeared.",
        **members,
    }


class Page(HTMLParser):
    """The elements of a page: tag, attributes and text of each."""

    def __init__(self, page):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(page.decode() if isinstance(page, bytes) else page)

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in ("meta", "link", "input", "img", "br"):
            self._open.append(element)

    def handle_endtag(self, tag):
        if self._open and tag == self._open[-1]["tag"]:
            self._open.pop()

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag, **attributes):
        """Elements of a tag that have these attributes."""
        return [
            element
            for element in self.elements
            if element["tag"] == tag
            and all(element.get(name.strip("_")) == value for name, value in attributes.items())
        ]

    def rows(self):
        """The rows of changes."""
        return [element for element in self.elements if "data-id" in element]


CONTRAST = """
(() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (v) => v <= 10 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (color.startsWith("rgb") && (numbers(color)[3] ?? 1) > 0.9) return numbers(color);
    }
    return [255, 255, 255];
  };
  const low = [];
  const texts = "p, dt, dd, h1, h2, th, td, li, label, button, small, summary, legend, pre, .no";
  for (const element of document.querySelectorAll(texts)) {
    if (!element.textContent.trim() || element.closest(".viewer")) continue;
    const style = getComputedStyle(element);
    if (style.display === "none" || !element.offsetHeight) continue;
    const [a, b] = [light(numbers(style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push([element.tagName, element.textContent.trim().slice(0, 30), ratio]);
  }
  return low;
})()
"""
"""Texts of a page that stand out too little, by WCAG's ratio of contrast: JavaScript."""
