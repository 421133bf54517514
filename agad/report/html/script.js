"use strict";
(() => {
  const root = document.documentElement;
  const place = `agad-report:${location.pathname}`;

  // A browser may forbid storage to a page from a disk: then a reload forgets, and nothing breaks.
  function recalled(storage, key) {
    try {
      return JSON.parse(window[storage].getItem(key)) ?? {};
    } catch {
      return {};
    }
  }

  function remember(storage, key, value) {
    try {
      window[storage].setItem(key, JSON.stringify(value));
    } catch {
      return;
    }
  }

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  // Sorting: a header's button sorts upwards, then downwards. What has no result stays below.

  const UNITS = { s: 1, min: 60, h: 3600 };
  const NO_RESULTS = new Set(["-", "", "not confirmed", "no trial yet"]);

  function numbers(text) {
    const found = text.match(/(?<![\d.])[+-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?/g) ?? [];
    const unit = UNITS[text.match(/^[\d.,]+ (s|min|h)$/)?.[1]] ?? 1;
    return found.map((one) => Number(one.replaceAll(",", "")) * unit);
  }

  function compareNumbers(a, b) {
    const pairs = Math.max(a.length, b.length);
    for (let place = 0; place < pairs; place += 1) {
      const difference = (a[place] ?? -Infinity) - (b[place] ?? -Infinity);
      if (difference) return difference;
    }
    return 0;
  }

  function comparison(rows, column, direction) {
    const text = (row) => row.cells[column].textContent;
    const known = rows.map(text).filter((one) => !NO_RESULTS.has(one));
    const isNumeric = known.every((one) => /^[<+-]?\d/.test(one));
    const values = new Map(rows.map((row) => [row, isNumeric ? numbers(text(row)) : text(row)]));
    const compare = isNumeric
      ? compareNumbers
      : (a, b) => a.localeCompare(b, "en", { numeric: true });
    return (a, b) => {
      const [none, other] = [NO_RESULTS.has(text(a)), NO_RESULTS.has(text(b))];
      return none || other ? none - other : direction * compare(values.get(a), values.get(b));
    };
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const headers = [...table.tHead.rows[0].cells];
    const original = [...body.rows];

    function sort(column, order) {
      headers.forEach((header) => header.removeAttribute("aria-sort"));
      headers[column].setAttribute("aria-sort", order);
      const direction = order === "ascending" ? 1 : -1;
      body.append(...[...original].sort(comparison(original, column, direction)));
    }

    headers.forEach((header, column) => {
      const button = element("button", { type: "button", textContent: header.textContent });
      button.id = `${table.id}-sort-${column}`;
      button.addEventListener("click", () => {
        const isUp = header.getAttribute("aria-sort") === "ascending";
        sort(column, isUp ? "descending" : "ascending");
      });
      header.replaceChildren(button);
    });
    return {
      sort,
      sorted() {
        const column = headers.findIndex((header) => header.hasAttribute("aria-sort"));
        return column < 0 ? null : [column, headers[column].getAttribute("aria-sort")];
      },
    };
  }

  // Filtering: words that a row must have, and a choice for each column that the page names.

  const FEWEST_FILTERED = 5;

  function choices(table, column) {
    const texts = [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
    return [...new Set(texts)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    const words = element("input", { type: "search", id: `${table.id}-words` });
    const count = element("p", { className: "count" });
    count.setAttribute("role", "status");
    const selects = new Map();
    const controls = element("div", { className: "controls" });
    controls.append(element("label", {}, "Filter by words", words));
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const texts = "choice" in header.dataset ? choices(table, column) : [];
      if (texts.length < 2) return;
      const select = element("select", { id: `${table.id}-choice-${column}` });
      select.append(new Option("all", ""), ...texts.map((text) => new Option(text, `=${text}`)));
      selects.set(column, select);
      controls.append(element("label", {}, header.textContent, select));
    });
    controls.append(count);

    function filter() {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const texts = [...row.cells].map((cell) => cell.textContent);
        const line = texts.join(" ").toLowerCase();
        const isChosen = [...selects].every(
          ([column, select]) => !select.value || select.value === `=${texts[column]}`,
        );
        row.hidden = !(isChosen && wanted.every((word) => line.includes(word)));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = `${shown} of ${rows.length} rows`;
    }

    controls.addEventListener("input", filter);
    table.closest(".scroll").before(controls);
    filter();
    return {
      filter(text, chosen) {
        words.value = text;
        selects.forEach((select, column) => {
          const isThere = [...select.options].some((one) => one.value === chosen[column]);
          select.value = isThere ? chosen[column] : "";
        });
        filter();
      },
      filtered: () => [
        words.value,
        Object.fromEntries([...selects].map(([column, select]) => [column, select.value])),
      ],
    };
  }

  const tables = new Map();
  for (const table of document.querySelectorAll("table[id]")) {
    const size = table.tBodies[0].rows.length;
    if (size < 2) continue;
    const filters = size >= FEWEST_FILTERED ? filterable(table) : {};
    tables.set(table.id, { ...sortable(table), ...filters });
  }

  // Charts: drawn when they come near, the rest while nothing else is to do, so that they print.


  const charts = [...document.querySelectorAll(".chart")];
  const drawn = new Map();

  function draw(chart) {
    if (!drawn.has(chart)) drawn.set(chart, drawing(chart));
    return drawn.get(chart);
  }

  const SPOKEN = ["role", "aria-label", "aria-roledescription"];

  async function drawing(chart) {
    const words = [...chart.childNodes];
    const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
    spec.description = chart.textContent.trim();
    // A chart names the version that it was written for, at which another one wonders aloud.
    delete spec.$schema;
    const canvas = element("div");
    chart.replaceChildren(canvas);
    try {
      await vegaEmbed(canvas, spec, {
        actions: false,
        ast: true,
        defaultStyle: false,
        logLevel: 1,
        mode: "vega-lite",
        renderer: "svg",
        tooltip: { disableDefaultStyle: true },
      });
      // A thousand marks one by one tell a listener less than the chart's words and its table.
      for (const part of canvas.querySelectorAll("svg, svg [role]")) {
        for (const name of SPOKEN) part.removeAttribute(name);
      }
      chart.setAttribute("role", "img");
      chart.setAttribute("aria-label", spec.description);
      chart.dataset.drawn = "";
    } catch (error) {
      chart.replaceChildren(...words);
      console.error(error);
    }
  }

  const whenIdle = window.requestIdleCallback ?? ((call) => setTimeout(call, 50));

  function drawRest() {
    const next = charts.find((chart) => !drawn.has(chart));
    if (next) draw(next).then(() => whenIdle(drawRest));
  }

  const near = new IntersectionObserver(
    (entries) => entries.filter((one) => one.isIntersecting).forEach((one) => draw(one.target)),
    { rootMargin: "400px" },
  );
  charts.forEach((chart) => near.observe(chart));
  whenIdle(drawRest);

  // Printing shows every figure's numbers.

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((one) => (one.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((one) => (one.open = false)));

  // Light and dark: as the system has it, until the button says otherwise.

  const tools = document.querySelector(".tools");
  const THEMES = ["automatic", "light", "dark"];
  const themeButton = element("button", { type: "button", id: "theme" });

  function setTheme(theme) {
    if (theme === "automatic") delete root.dataset.theme;
    else root.dataset.theme = theme;
    themeButton.textContent = `Theme: ${theme}`;
  }

  themeButton.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "automatic") + 1) % THEMES.length];
    setTheme(next);
    remember("localStorage", "agad-report-theme", { theme: next });
  });
  const { theme } = recalled("localStorage", "agad-report-theme");
  setTheme(THEMES.includes(theme) ? theme : "automatic");
  tools.append(themeButton);

  // Reloading while a study runs: what was sorted, filtered, opened and focused stays so.

  function keep() {
    const states = [...tables].map(([id, table]) => [
      id,
      { sorted: table.sorted(), filtered: table.filtered?.() ?? null },
    ]);
    remember("sessionStorage", place, {
      tables: Object.fromEntries(states),
      open: [...document.querySelectorAll("details[open]")].map((one) => one.id),
      focus: document.activeElement?.id ?? "",
      scroll: [scrollX, scrollY],
      isPaused,
    });
  }

  const kept = recalled("sessionStorage", place);
  let isPaused = kept.isPaused ?? false;
  for (const [id, { sorted, filtered }] of Object.entries(kept.tables ?? {})) {
    const table = tables.get(id);
    if (sorted && document.getElementById(`${id}-sort-${sorted[0]}`)) table?.sort(...sorted);
    if (filtered) table?.filter?.(...filtered);
  }
  for (const id of kept.open ?? []) {
    if (id) document.getElementById(id)?.setAttribute("open", "");
  }
  if (kept.focus) document.getElementById(kept.focus)?.focus({ preventScroll: true });
  if (kept.scroll) scrollTo(...kept.scroll);
  addEventListener("pagehide", keep);

  const reload = root.dataset.reload;
  if (reload) {
    const pauseButton = element("button", { type: "button", id: "pause" });
    const label = () => (isPaused ? "Go on reloading" : "Pause reloading");
    pauseButton.textContent = label();
    pauseButton.addEventListener("click", () => {
      isPaused = !isPaused;
      pauseButton.textContent = label();
    });
    tools.append(pauseButton);
    setInterval(() => {
      if (!isPaused) location.reload();
    }, Number(reload) * 1000);
  }
})();
