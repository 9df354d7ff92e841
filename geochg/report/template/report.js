
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const data = JSON.parse(one("#data").textContent);
  const count = data.columns.id.length;
  const rows = all("#changes tbody tr");
  const paths = [...one("#shapes").children];
  const numberOf = new Map([...rows, ...paths].map((element, n) => [element, n % (count || 1)]));
  const viewer = one("#viewer");
  const drawing = one("#drawing");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // --- the map ---------------------------------------------------------------------------------
  // The visible part is a box in pixels of the view: its middle, and how far it is enlarged.

  const view = { x: data.width / 2, y: data.height / 2, zoom: 1 };
  let [boxWidth, boxHeight, fit] = [1, 1, 1];
  const scaleNow = () => fit * view.zoom;

  const draw = () => {
    view.zoom = clamp(view.zoom, 1, Math.max(1, 8 / fit));
    const scale = scaleNow();
    const [halfX, halfY] = [boxWidth / 2 / scale, boxHeight / 2 / scale];
    view.x = 2 * halfX >= data.width ? data.width / 2 : clamp(view.x, halfX, data.width - halfX);
    view.y = 2 * halfY >= data.height ? data.height / 2 : clamp(view.y, halfY, data.height - halfY);
    const [left, top] = [view.x - halfX, view.y - halfY];
    viewer.style.setProperty("--s", scale);
    viewer.style.setProperty("--tx", `${-left * scale}px`);
    viewer.style.setProperty("--ty", `${-top * scale}px`);
    drawing.setAttribute("viewBox", `${left} ${top} ${2 * halfX} ${2 * halfY}`);
    viewer.classList.toggle("moved", view.zoom > 1);
    const frame = one("#frame");
    for (const [name, value] of [["x", left], ["y", top], ["width", 2 * halfX], ["height", 2 * halfY]])
      frame.setAttribute(name, value);
    drawScale(data.pixel_m / scale);
  };

  const drawScale = (metresPerPixel) => {
    const most = 120 * metresPerPixel;
    const power = 10 ** Math.floor(Math.log10(most));
    const metres = [5, 2, 1].map((step) => step * power).find((step) => step <= most);
    viewer.style.setProperty("--bar", `${metres / metresPerPixel}px`);
    const text = metres >= 1000 ? `${metres / 1000} km` : metres >= 1 ? `${metres} m` : `${Math.round(metres * 100)} cm`;
    one("#scale-text").textContent = text;
  };

  const measure = () => {
    boxWidth = viewer.clientWidth || 1;
    boxHeight = viewer.clientHeight || 1;
    fit = Math.min(boxWidth / data.width, boxHeight / data.height);
    document.documentElement.style.setProperty("--column", `${one(".map").offsetHeight}px`);
    draw();
  };

  const zoomAt = (factor, x = boxWidth / 2, y = boxHeight / 2) => {
    const before = scaleNow();
    const [px, py] = [view.x + (x - boxWidth / 2) / before, view.y + (y - boxHeight / 2) / before];
    view.zoom = clamp(view.zoom * factor, 1, Math.max(1, 8 / fit));
    const after = scaleNow();
    view.x = px - (x - boxWidth / 2) / after;
    view.y = py - (y - boxHeight / 2) / after;
    draw();
  };

  const showAll = () => {
    view.zoom = 1;
    draw();
  };

  const showBox = ([left, top, right, bottom]) => {
    view.x = (left + right) / 2;
    view.y = (top + bottom) / 2;
    const wanted = Math.min(boxWidth / Math.max(1, right - left), boxHeight / Math.max(1, bottom - top)) / 3;
    view.zoom = clamp(wanted, fit, 4) / fit;
    draw();
  };

  const toggleOutlines = () => {
    const isBare = viewer.classList.toggle("bare");
    one("#outlines").setAttribute("aria-pressed", String(!isBare));
  };

  one("#zoom-in").addEventListener("click", () => zoomAt(1.6));
  one("#zoom-out").addEventListener("click", () => zoomAt(1 / 1.6));
  one("#zoom-all").addEventListener("click", showAll);
  one("#outlines").addEventListener("click", toggleOutlines);

  viewer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60 / scaleNow();
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves && view.zoom > 1) {
      view.x += moves[event.key][0];
      view.y += moves[event.key][1];
      draw();
    } else if (event.key === "+" || event.key === "=") zoomAt(1.6);
    else if (event.key === "-") zoomAt(1 / 1.6);
    else if (event.key === "0") showAll();
    else if (event.key === "o") toggleOutlines();
    else return;
    event.preventDefault();
  });

  viewer.addEventListener("wheel", (event) => {
    // A plain wheel scrolls the page; with Ctrl, as a pinch on a touchpad sends it, it zooms.
    if (!event.ctrlKey) return;
    event.preventDefault();
    const at = viewer.getBoundingClientRect();
    zoomAt(Math.exp(-event.deltaY / 200), event.clientX - at.left, event.clientY - at.top);
  }, { passive: false });

  viewer.addEventListener("dblclick", (event) => {
    const at = viewer.getBoundingClientRect();
    zoomAt(2, event.clientX - at.left, event.clientY - at.top);
  });

  // --- swipe -----------------------------------------------------------------------------------

  const slider = one("#swipe");
  const swipeTo = (percent) => {
    const value = Math.round(clamp(percent, 0, 100));
    viewer.style.setProperty("--swipe", `${clamp(percent, 0, 100)}%`);
    slider.value = value;
    slider.setAttribute("aria-valuetext", `${value} % earlier, ${100 - value} % later`);
  };
  const swipeAt = (clientX) => {
    const at = viewer.getBoundingClientRect();
    swipeTo(100 * (clientX - at.left) / at.width);
  };
  if (slider) slider.addEventListener("input", () => swipeTo(Number(slider.value)));

  // --- pointers: a drag swipes by the handle, and anywhere while the whole area is shown; else it
  // moves the map, and two fingers zoom it.

  const pointers = new Map();
  let [isSwiping, travelled] = [false, 0];

  viewer.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, event);
    const handle = one("#handle");
    isSwiping = slider !== null && (handle.contains(event.target) || view.zoom === 1);
    if (pointers.size === 1) travelled = 0;
    if (handle && handle.contains(event.target)) viewer.setPointerCapture(event.pointerId);
  });

  viewer.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    travelled += Math.abs(event.clientX - last.clientX) + Math.abs(event.clientY - last.clientY);
    if (travelled < 4) return;
    if (!viewer.hasPointerCapture(event.pointerId)) viewer.setPointerCapture(event.pointerId);
    viewer.classList.add("dragging");
    if (pointers.size === 2) pinch(event);
    else if (isSwiping) swipeAt(event.clientX);
    else {
      view.x -= (event.clientX - last.clientX) / scaleNow();
      view.y -= (event.clientY - last.clientY) / scaleNow();
      draw();
    }
    pointers.set(event.pointerId, event);
  });

  const pinch = (event) => {
    const [first, second] = [...pointers.values()];
    const other = first.pointerId === event.pointerId ? second : first;
    const last = pointers.get(event.pointerId);
    const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    const at = viewer.getBoundingClientRect();
    const [x, y] = [(event.clientX + other.clientX) / 2 - at.left, (event.clientY + other.clientY) / 2 - at.top];
    zoomAt(distance(event, other) / distance(last, other), x, y);
  };

  const release = (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) viewer.classList.remove("dragging");
  };
  viewer.addEventListener("pointerup", release);
  viewer.addEventListener("pointercancel", release);

  // --- dates of a series -----------------------------------------------------------------------

  const shownDates = [0, data.pictures.length - 1];
  const images = [one("#left"), one("#right")];
  const addresses = data.pictures.map((picture, n) => {
    if (picture.address) return picture.address;
    return n ? images[1].src : images[0].src;
  });
  const showDate = (side, number) => {
    if (!images[side] || data.pictures.length < 2) return;
    const picture = data.pictures[number];
    shownDates[side] = number;
    images[side].src = addresses[number];
    images[side].alt = `The place ${picture.when}`;
    one(side ? "#tag-right" : "#tag-left").textContent = picture.label;
    const name = side ? "right" : "left";
    const input = one(`#${name}-date`);
    if (!input) return;
    input.value = number;
    input.setAttribute("aria-valuetext", picture.label);
    one(`#${name}-name`).textContent = picture.label;
  };
  for (const [side, name] of ["left", "right"].entries()) {
    const input = one(`#${name}-date`);
    if (input) input.addEventListener("input", () => showDate(side, Number(input.value)));
  }

  // --- choosing a change -----------------------------------------------------------------------

  let chosen = -1;

  const choose = (number, { fromMap = false } = {}) => {
    if (chosen >= 0) rows[chosen].setAttribute("aria-selected", "false");
    chosen = number;
    const row = rows[number];
    row.setAttribute("aria-selected", "true");
    focusable(row);
    one("#chosen").setAttribute("d", paths[number].getAttribute("d"));
    const [first, last] = data.dates[number];
    if (data.pictures.length > 2) {
      showDate(0, first);
      showDate(1, last);
    }
    showDetail(number);
    if (fromMap) scrollToRow(row);
    else {
      showBox(data.boxes[number]);
      const at = viewer.getBoundingClientRect();
      if (at.bottom < 80 || at.top > window.innerHeight - 80) viewer.scrollIntoView({ block: "nearest" });
    }
  };

  const scrollToRow = (row) => {
    const box = one("#rows");
    box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 3;
  };

  let current = rows[0];
  const focusable = (row) => {
    if (current) current.tabIndex = -1;
    row.tabIndex = 0;
    current = row;
  };

  const showDetail = (number) => {
    const detail = one("#detail");
    const row = rows[number];
    const title = element("h3");
    title.append(row.querySelector(".dot").cloneNode(), `${row.querySelector("th").firstChild.nextSibling.textContent}, number ${data.columns.id[number]}`);
    const cutouts = element("div", undefined, "cutouts");
    const pictures = [...row.querySelectorAll(".t")];
    pictures.forEach((picture, place) => {
      const figure = element("figure");
      const date = data.pictures[data.dates[number][pictures.length === 1 ? 1 : place]];
      const shown = picture.cloneNode();
      shown.setAttribute("role", "img");
      shown.setAttribute("aria-label", `The place of the change, ${date.when}`);
      figure.append(shown, element("figcaption", date.label));
      cutouts.append(figure);
    });
    const caption = element("p", row.querySelector(".caption").textContent);
    const facts = element("dl");
    for (const [name, label] of Object.entries(data.labels)) {
      const value = data.columns[name][number];
      if (value === null || value === "") continue;
      const pair = element("div");
      pair.append(element("dt", label), element("dd", typeof value === "number" ? value.toLocaleString("en") : value));
      facts.append(pair);
    }
    detail.replaceChildren(title, ...(pictures.length ? [cutouts] : []), caption, facts);
    requestAnimationFrame(measure);
  };

  viewer.addEventListener("click", (event) => {
    if (travelled >= 4) return;
    const number = numberOf.get(event.target);
    if (number !== undefined) choose(number, { fromMap: true });
  });

  const body = one("#changes tbody");
  const rowOf = (event) => event.target.closest("tr[data-id]");
  body.addEventListener("click", (event) => {
    const row = rowOf(event);
    if (row) choose(numberOf.get(row));
  });
  body.addEventListener("keydown", (event) => {
    const row = rowOf(event);
    if (!row) return;
    const shown = () => [...body.rows].filter((other) => !other.hidden);
    const near = (sibling) => {
      let other = row[sibling];
      while (other && other.hidden) other = other[sibling];
      return other;
    };
    const targets = {
      ArrowDown: () => near("nextElementSibling"),
      ArrowUp: () => near("previousElementSibling"),
      Home: () => shown()[0],
      End: () => shown().at(-1),
    };
    if (event.key === "Enter" || event.key === " ") choose(numberOf.get(row));
    else if (event.key in targets) {
      const target = targets[event.key]();
      if (target) {
        focusable(target);
        target.focus();
      }
    } else return;
    event.preventDefault();
  });
  const heat = (event) => {
    const row = rowOf(event);
    if (row) paths[numberOf.get(row)].classList.toggle("hot", event.type === "mouseover");
  };
  body.addEventListener("mouseover", heat);
  body.addEventListener("mouseout", heat);

  one("#overview").addEventListener("pointerdown", (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(one("#overview").getScreenCTM().inverse());
    view.x = place.x;
    view.y = place.y;
    if (view.zoom === 1) view.zoom = 3;
    draw();
  });

  // --- filter and order ------------------------------------------------------------------------

  const filters = one("#filters");
  const searched = ["id", "class", "change", "caption", "review"];
  const texts = rows.map((_, n) => searched.map((name) => data.columns[name][n]).join(" ").toLowerCase());
  let order = rows.map((_, n) => n);
  let shownCount = count;

  const valueOf = (selector, usual) => (one(selector) ? one(selector).value : usual);
  const checked = (name) => new Set(all(`#filters input[name=${name}]:checked`).map((box) => box.value));

  const filter = () => {
    const [classes, directions] = [checked("class"), checked("change")];
    const words = one("#words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const least = Number(valueOf("#least", "0"));
    const [period, review] = [valueOf("#period", "all"), valueOf("#review", "all")];
    let area = 0;
    shownCount = 0;
    rows.forEach((row, n) => {
      const confidence = data.columns.confidence[n];
      // What has no confidence was not measured: no limit hides it.
      const isShown = classes.has(String(data.classes[n]))
        && (!data.columns.change[n] || directions.has(data.columns.change[n]))
        && (confidence === null || confidence >= least)
        && (period === "all" || period === String(data.columns.step[n] ?? ""))
        && (review === "all" || review === (data.columns.review[n] || "none"))
        && words.every((word) => texts[n].includes(word));
      row.hidden = !isShown;
      paths[n].classList.toggle("off", !isShown);
      if (!isShown) return;
      shownCount += 1;
      area += data.columns.area_m2[n] || 0;
    });
    if (one("#least-text")) one("#least-text").textContent = least;
    one("#shown").textContent = `${shownCount.toLocaleString("en")} of ${count.toLocaleString("en")} shown, ${areaText(area)}`;
    const first = order.map((n) => rows[n]).find((row) => !row.hidden);
    if (first && (!current || current.hidden)) focusable(first);
  };

  const areaText = (area) => {
    const format = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return area >= 100 ? `${format(area / 1e4, 2)} ha` : `${format(area, 1)} m²`;
  };

  const keys = {
    order: (n) => n,
    class: (n) => `${data.columns.class[n]} ${data.columns.change[n]}`,
    area: (n) => data.columns.area_m2[n],
    confidence: (n) => data.columns.confidence[n],
  };
  const heads = all("#changes thead th");
  const sortBy = (head) => {
    const key = head.dataset.key;
    const usual = key === "area" || key === "confidence" ? "descending" : "ascending";
    const reverse = { ascending: "descending", descending: "ascending" };
    const direction = reverse[head.getAttribute("aria-sort")] || usual;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const value = keys[key];
    order = rows.map((_, n) => n).sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return sign * (typeof x === "string" ? x.localeCompare(y, "en") : x - y) || a - b;
    });
    body.append(...order.map((n) => rows[n]));
    one("#rows").scrollTop = 0;
  };
  heads.forEach((head) => head.querySelector("button").addEventListener("click", () => sortBy(head)));

  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filter));

  // --- table and print -------------------------------------------------------------------------

  const csvField = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    // What a spreadsheet would take for a formula begins with an apostrophe.
    const text = /^[\s]*[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = () => {
    const names = Object.keys(data.columns);
    const lines = order.filter((n) => !rows[n].hidden).map((n) => names.map((name) => csvField(data.columns[name][n])).join(","));
    return `\ufeff${[names.join(","), ...lines].join("\r\n")}\r\n`;
  };
  one("#save-csv").addEventListener("click", () => {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
    link.download = data.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  one("#print").addEventListener("click", () => window.print());
  window.addEventListener("beforeprint", () => {
    drawing.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
    all("details").forEach((details) => { details.open = true; });
  });
  window.addEventListener("afterprint", draw);

  new ResizeObserver(measure).observe(viewer);
  measure();
  filter();
})();
