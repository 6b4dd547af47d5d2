// Draws the curves of a page: data by JSON, colours from the page's own variables, gaps where
// nobody knows. The address keeps the chosen range; live events and a minute's tick read anew.
const exact = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const number = (value) => (Math.abs(value) < 20 ? exact : whole).format(value);
const zone = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", timeZoneName: "short" })
  .formatToParts().find(({ type }) => type === "timeZoneName").value;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const when = (at) => `${day.format(at * 1000)}, ${clock.format(at * 1000)}`;
const forced = matchMedia("(forced-colors: active)");
// Where the system chooses the colours, strokes tell the curves apart.
const DASHES = [undefined, [8, 4], [2, 3], [10, 3, 2, 3]];
const charts = [];

// The library comes after the first paint: words and numbers do not wait for curves.
const { uplot, styles } = document.querySelector("script[data-uplot]").dataset;
const arrived = (element) => new Promise((resolve) => {
  element.onload = resolve;
  document.head.append(element);
});
requestAnimationFrame(() => setTimeout(async () => {
  await Promise.all([
    arrived(Object.assign(document.createElement("link"), { rel: "stylesheet", href: styles })),
    arrived(Object.assign(document.createElement("script"), { src: uplot })),
  ]);
  charts.forEach((chart) => chart.draw());
}));

class Chart {
  constructor(figure) {
    const part = (name) => figure.querySelector(`[data-${name}]`);
    Object.assign(this, { figure, plot: part("plot"), read: part("read"), keys: part("keys"), now: part("now") });
    this.title = figure.querySelector("figcaption strong").textContent;
    this.series = JSON.parse(figure.dataset.series);
    this.unit = figure.dataset.unit;
    this.table = part("table");
    this.details = this.table.closest("details");
    this.details.addEventListener("toggle", () => this.tell());
    this.plot.addEventListener("keydown", (event) => this.step(event));
    this.plot.addEventListener("blur", () => this.at(null));
    new ResizeObserver(() => this.resize()).observe(this.plot);
    this.load();
  }

  value(value) {
    return value == null ? "no data" : `${number(value)} ${this.unit}`;
  }

  async load() {
    const url = new URL(this.figure.dataset.src, location.href);
    if (this.figure.dataset.range) url.searchParams.set("range", this.figure.dataset.range);
    const turn = (this.turn = (this.turn || 0) + 1);
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const data = await answer.json();
      if (turn === this.turn) this.show(data);
    } catch {
      if (turn === this.turn && !this.data) this.say("The data cannot be read now.");
    }
  }

  show(data) {
    this.data = data;
    const main = data[this.series[0].key];
    let last = -1, most = -1;
    main.forEach((value, index) => {
      if (value == null) return;
      last = index;
      if (most < 0 || value >= main[most]) most = index;
    });
    const about = data.is_estimate ? "about " : "";
    const hasFailed = data.failed?.some(Boolean);
    const told = last < 0 ? `no ${hasFailed ? "good answer" : "data"} in this range`
      : `latest ${about}${this.value(main[last])}, maximum ${about}${this.value(main[most])}`;
    this.plot.setAttribute("aria-label", `${this.title}: ${told}.${last < 0 ? "" : " Arrow keys read values."}`);
    if (!this.isLive) this.now.textContent = told;
    const limit = Number(this.figure.dataset.threshold) || 0;
    const top = Math.max(1, ...this.series.flatMap(({ key }) => data[key]).map((value) => value ?? 0));
    // A limit far above would press the curves flat; the words below name it all the same.
    this.limit = limit <= 2.5 * top ? limit : 0;
    // The axis has three parts, or four where its end is given.
    const end = Number(this.figure.dataset.most) || 0;
    this.part = end ? end / 4 : third(Math.max(top, this.limit * 1.05) / 3);
    this.parts = end ? [0, 1, 2, 3, 4] : [0, 1, 2, 3];
    this.isBlank = this.series.every(({ key }) => data[key].every((value) => value == null));
    this.isEmpty = this.isBlank && !hasFailed;
    const { moment } = this;
    if (this.drawing && !this.isEmpty) this.drawing.setData(this.columns());
    else this.draw();
    // The library sets its scales after this turn; whoever reads a point keeps it.
    queueMicrotask(() => this.point(data.at.indexOf(moment)));
    this.tell();
  }

  columns() {
    return [this.data.at, ...this.series.map(({ key }) => this.data[key]).reverse()];
  }

  draw() {
    this.drawing?.destroy();
    this.drawing = null;
    const width = this.plot.clientWidth;
    if (!width || !this.data || !window.uPlot) return;
    this.plot.replaceChildren(...(this.isEmpty ? [mark("No data in this range.", "chart-empty")] : []));
    if (this.isEmpty) return;
    const colour = (name) => resolved(this.read, name);
    const axis = { stroke: colour("quiet"), font: `11px ${getComputedStyle(this.read).fontFamily}`, ticks: { show: false } };
    const [warn, bad] = [colour("warn"), colour("bad")];
    // The main curve is drawn last, above the others.
    this.drawing = new uPlot({
      width,
      height: this.plot.clientHeight,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 } },
      scales: {
        x: { range: () => [Date.parse(this.data.start) / 1000, Date.parse(this.data.end) / 1000] },
        y: { range: () => [0, this.part * this.parts.at(-1)] },
      },
      axes: [
        { ...axis, size: 24, gap: 6, space: 70, grid: { show: false }, values: times },
        {
          ...axis, size: 52, gap: 8, splits: () => this.parts.map((part) => part * this.part),
          grid: { stroke: colour("hairline"), width: 1 },
          // Where no value is known, an axis would only pretend.
          values: (_, splits) => splits.map((value) => (this.isBlank ? "" : number(value))),
        },
      ],
      series: [{}, ...this.series.map(({ label }, index) => ({
        label,
        stroke: colour(`series-${index + 1}`),
        width: 2,
        dash: forced.matches ? DASHES[index % DASHES.length] : undefined,
        fill: index ? undefined : soft(colour("series-1")),
        points: { show: true, size: 4, filter: alone },
      })).reverse()],
      hooks: {
        setCursor: [(drawing) => this.at(drawing.cursor.idx)],
        draw: [(drawing) => {
          line(drawing, this.limit, warn);
          failures(drawing, this.data.failed, bad);
        }],
      },
    }, this.columns(), this.plot);
  }

  resize() {
    if (!this.drawing) return this.draw();
    const size = { width: this.plot.clientWidth, height: this.plot.clientHeight };
    if (size.width && size.width !== this.drawing.width) this.drawing.setSize(size);
  }

  // Says what stands at a point, or what the curves are while none is chosen.
  at(index) {
    const { data, series, figure } = this;
    const moment = data?.at[index];
    this.index = moment == null ? null : index;
    this.moment = moment;
    this.keys.hidden = moment != null;
    if (moment != null) {
      const failed = data.failed?.[index];
      this.say([
        `${when(moment)} ${zone}`,
        ...series.map(({ key, label }) => `${label} ${this.value(data[key][index])}`),
        ...(failed ? [`${failed} failed`] : []),
      ].join(" · "));
      return;
    }
    this.say("");
    const limit = figure.dataset.threshold;
    this.keys.replaceChildren(
      ...series.map(({ label }, index) => mark(label, `key series-${index + 1}`)),
      ...(limit ? [mark(`${figure.dataset.thresholdLabel} ${this.value(+limit)}`, "key limit")] : []),
      ...(data?.failed?.some(Boolean) ? [mark("Failed", "key failed")] : []),
      mark(`Local time, ${zone}`, "zone"),
    );
  }

  // Only what changed is told: a reload that brings the same says nothing.
  say(text) {
    if (this.read.textContent !== text) this.read.textContent = text;
  }

  point(index) {
    if (index < 0 || !this.drawing) return this.at(null);
    this.drawing.setCursor({ left: this.drawing.valToPos(this.data.at[index], "x"), top: 10 });
    this.at(index);
  }

  step(event) {
    const last = (this.data?.at.length ?? 0) - 1;
    const index = { ArrowLeft: (this.index ?? last + 1) - 1, ArrowRight: (this.index ?? -1) + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.drawing?.setCursor({ left: -10, top: -10 });
    if (index == null || last < 0 || !this.drawing) return;
    event.preventDefault();
    this.point(Math.min(Math.max(index, 0), last));
  }

  tell() {
    if (!this.details.open || !this.data) return;
    const table = document.createElement("table");
    const row = (cells, kind) => {
      const line = table.insertRow();
      cells.forEach((text, index) => {
        const cell = document.createElement(kind);
        if (kind === "th") cell.scope = "col";
        if (index) cell.className = "numeric";
        cell.textContent = text;
        line.append(cell);
      });
    };
    row([`Time (${zone})`, ...this.series.map(({ label }) => label), "Failed"], "th");
    for (let index = this.data.at.length - 1; index >= 0; index -= 1) {
      row([when(this.data.at[index]), ...this.series.map(({ key }) => this.value(this.data[key][index])),
        this.data.failed?.[index] ?? ""], "td");
    }
    this.table.replaceChildren(table);
  }
}

// The least 1, 2, 2.5 or 5 times a power of ten that is not below.
function third(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 2.5, 5, 10].find((factor) => factor * power >= least) * power;
}

function times(_, splits, _axis, _space, step) {
  return splits.map((at) => step >= 86400 || new Date(at * 1000).getHours() + new Date(at * 1000).getMinutes() === 0
    ? day.format(at * 1000) : clock.format(at * 1000));
}

// Points that no line reaches, which would not be seen otherwise.
function alone(drawing, index) {
  const values = drawing.data[index];
  return values.flatMap((value, at) =>
    value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []);
}

// A variable may hold light-dark(), which a canvas does not know: the page works it out.
function resolved(element, name) {
  element.style.color = `var(--${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

const soft = (colour) => colour.replace("rgb(", "rgba(").replace(")", ", .12)");

function line(drawing, value, colour) {
  if (!value) return;
  const { ctx, bbox } = drawing, y = drawing.valToPos(value, "y", true);
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

function failures(drawing, failed, colour) {
  const { ctx, bbox } = drawing, height = 5 * devicePixelRatio;
  ctx.fillStyle = colour;
  failed?.forEach((count, index) => {
    if (!count) return;
    const x = drawing.valToPos(drawing.data[0][index], "x", true);
    ctx.fillRect(x - devicePixelRatio, bbox.top + bbox.height - height, 2 * devicePixelRatio, height);
  });
}

function mark(text, name) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function choose(range) {
  const url = new URL(location.href);
  url.searchParams.set("range", range);
  history.replaceState(history.state, "", url);
  for (const chart of charts) {
    if (!chart.figure.dataset.range) continue;
    chart.figure.dataset.range = range;
    for (const link of chart.figure.querySelectorAll("a[data-range]")) {
      if (link.dataset.range === range) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    chart.load();
  }
}

function soon(chart) {
  chart.timer ??= setTimeout(() => {
    chart.timer = null;
    chart.load();
  }, 300 + Math.random() * 700);
}

charts.push(...[...document.querySelectorAll("[data-chart]")].map((figure) => new Chart(figure)));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-chart] a[data-range]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link.dataset.range);
});
document.addEventListener("ops:event", ({ detail }) => {
  for (const chart of charts) if (chart.figure.dataset.on?.split(" ").includes(detail.kind)) soon(chart);
});
document.addEventListener("ops:resync", () => charts.forEach(soon));
document.addEventListener("ops:metrics", ({ detail }) => {
  for (const chart of charts) {
    const value = detail.data?.[chart.figure.dataset.live];
    if (value === undefined) continue;
    chart.isLive = true;
    chart.now.textContent = value == null ? "no data now" : `now ${chart.value(value)}`;
  }
});
setInterval(() => document.hidden || charts.forEach((chart) => chart.load()), 60_000);
const redraw = () => charts.forEach((chart) => { chart.draw(); chart.at(null); });
const redrawSoon = () => requestAnimationFrame(redraw);
const scheme = document.querySelector("meta[name=color-scheme]");
if (scheme) new MutationObserver(redrawSoon).observe(scheme, { attributes: true });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawSoon);
forced.addEventListener("change", redrawSoon);
// Paper is light, whatever the screen is.
const paper = (colours) => () => {
  document.documentElement.style.colorScheme = colours;
  redraw();
};
addEventListener("beforeprint", paper("light"));
addEventListener("afterprint", paper(""));
