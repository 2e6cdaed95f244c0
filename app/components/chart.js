import { Corner } from "./chart_corner.js";
import { tableOf } from "./chart_table.js";
import { retitled, titledFor } from "./chart_title.js";
import { DRAWN, drawInTurn, plotly } from "./page.js";

const PARTS = ["x", "y", "text"];
const CONFIG = { displayModeBar: false, responsive: false };
const STEP = { transition: { duration: 0 }, frame: { duration: 0, redraw: false }, mode: "immediate" };

// One Plotly chart: what the server sent, what the slider has moved since, and the reader's zoom.
// `data-version` says what is drawn: the index and the stop of its threshold, whoever put it there, the server or the slider.
export class Chart {
  static in(box) {
    return new Chart(box);
  }

  constructor(box) {
    this.box = box;
    this.plotly = null; // The copy that draws it.
    this.corner = new Corner(this);
    this.wanted = null; // Figure that the server asked for last, as JSON; null once the chart has left the page.
    this.figure = null; // Figure that is drawn, as JSON.
    this.read = null; // The same, parsed.
    this.base = null; // The same but for what follows the threshold.
    this.version = ""; // Of the figure.
    this.goal = ""; // Version that was put there last, maybe still on its way.
    this.moved = false; // Whether the slider moved traces since the server drew them.
    this.moving = null; // Ends with the slider's last move.
    this.layout = null; // Of the figure, with its title in one line.
    this.narrow = false; // Whether it is drawn without the numbers of its cells.
    this.room = { width: 0, top: 0 }; // Pixels above the plot.
    this.ranges = {}; // Axis ranges that the figure asked for.
    this.observer = null;
    this.onPick = null; // Called with the number of a point that was clicked; null where points cannot be picked.
  }

  // Draw what the server sent, unless the slider has put the same values there already.
  take({ figure, version = "", alt, height, url, setting = "" }) {
    this.setting = setting;
    this.wanted = figure;
    this.box.style.width = "100%";
    this.box.style.height = `${height}px`;
    this.box.setAttribute("aria-label", alt);
    plotly(url).then(
      (copy) => {
        const update = () => {
          if (this.wanted !== figure) return;
          this.#letDraw(copy);
          this.#update(figure, version);
        };
        if (this.figure === null) drawInTurn(this, update);
        else update();
      },
      () => {
        this.box.textContent = "Charts need the studio's own server. Start it with: streamlit run streamlit_app.py";
      },
    );
  }

  // A figure may need another copy than the one before.
  #letDraw(copy) {
    if (this.plotly && this.plotly !== copy) {
      this.plotly.purge(this.box);
      this.pickable = false;
    }
    this.plotly = copy;
  }

  #update(figure, version) {
    const before = this.base;
    const same = this.figure === figure;
    this.version = version;
    if (!same) this.read = JSON.parse(figure);
    this.corner.take(this.read.layout.uirevision || "chart", this.setting, this.read.data.length === 0);
    if (same) {
      if (!this.moved) this.#arrive(version);
      return;
    }
    this.figure = figure;
    this.base = baseOf(this.read);
    if (this.moved && before === this.base && this.goal === version) {
      this.moved = false;
      return;
    }
    this.redraw().then(() => {
      this.box.dataset.drawn = String(Number(this.box.dataset.drawn || 0) + 1);
    });
    if (!this.observer) {
      this.observer = new ResizeObserver(() => {
        if (this.box.offsetWidth > 0) this.#resize();
      });
      this.observer.observe(this.box);
    }
  }

  // Also the lines of the title, where they are others now.
  #resize() {
    const { box } = this;
    const before = box.layout?.title?.text;
    // Refused where the chart is hidden.
    const resized = this.plotly.Plots.resize(box).catch(() => {});
    resized.then(() => {
      if (this.layout && this.narrow !== this.#isNarrow()) this.redraw();
      if (!this.layout || box.layout?.title?.text !== before) return;
      const said = { ...this.layout, title: { ...this.layout.title, text: (before ?? "").replaceAll("<br>", " ") } };
      const { title, margin } = this.#titled(said);
      if (title && title.text !== before) this.plotly.relayout(box, { title, margin });
    });
  }

  // Where numbers of cells would stand in each other's place.
  #isNarrow() {
    const { offsetWidth } = this.box;
    return offsetWidth > 0 && offsetWidth < (this.layout.meta?.text_from ?? 0);
  }

  // With as much room above the plot as any title of this width has needed, so that the plot stays where it is.
  #titled(layout) {
    const width = this.box.offsetWidth;
    const titled = titledFor(layout, width);
    if (!titled.margin) return titled;
    const top = Math.max(titled.margin.t, this.room.width === width ? this.room.top : 0);
    this.room = { width, top };
    return { ...titled, margin: { ...titled.margin, t: top } };
  }

  #letPick() {
    if (!this.onPick || this.pickable) return;
    this.pickable = true;
    this.box.on("plotly_click", ({ points }) => {
      const number = points.map((point) => point.customdata).find(Number.isInteger);
      if (number !== undefined) this.onPick?.(number);
    });
  }

  #arrive(version) {
    this.goal = version;
    this.box.dataset.version = version;
  }

  // Put traces back where the server has them. Streamlit's own Plotly element is built anew whenever its figure changes; Plotly.react
  // keeps the drawing and updates it.
  redraw() {
    if (this.figure === null) return Promise.resolve();
    const { version } = this;
    const { data, layout } = JSON.parse(this.figure);
    // A move that has begun would end after this drawing, in traces that may be others.
    return Promise.resolve(this.moving)
      .then(() => {
        this.#keepZoom(layout);
        this.layout = layout;
        this.narrow = this.#isNarrow();
        if (this.narrow) for (const trace of data) delete trace.texttemplate;
        return this.plotly.react(this.box, data, this.#titled(layout), CONFIG);
      })
      .then(() => {
        this.#letPick();
        this.moved = false;
        this.#arrive(version);
        // Also where the figure is an old one: a drag may have begun meanwhile, and this has drawn over it.
        document.dispatchEvent(new CustomEvent(DRAWN));
      });
  }

  // A reader's zoom survives new data. Plotly sees to that by itself only where the figure leaves the axes to it.
  #keepZoom(layout) {
    const asked = this.ranges;
    this.ranges = {};
    for (const name of ["xaxis", "yaxis"]) {
      const next = layout[name] || {};
      const shown = this.box.layout?.[name] || {};
      this.ranges[name] = next.range && String(next.range);
      const zoomed = asked[name] && shown.range && String(shown.range) !== asked[name];
      if (zoomed && next.range) Object.assign(next, { range: [...shown.range], autorange: shown.autorange });
    }
  }

  // What of the chart follows the threshold; null where nothing does, or nothing is drawn yet.
  get follow() {
    return this.box.layout?.meta?.follow || null;
  }

  get inView() {
    const place = this.box.getBoundingClientRect();
    return place.bottom >= 0 && place.top <= window.innerHeight;
  }

  // Put one row of the measured columns into the traces that follow. The version is empty where the row is of another stop than the
  // slider's.
  move(columns, row, version) {
    const follow = this.follow;
    const traces = follow.map((mark) => mark.trace);
    const parts = PARTS.filter((name) => follow.some((mark) => name in mark));
    const values = follow.map((mark) =>
      Object.fromEntries(parts.filter((name) => name in mark).map((name) => [name, valuesOf(columns, mark[name], row)])),
    );
    this.moved = true;
    this.goal = version;
    this.#moveTitle(columns, row);
    // Changed traces make Plotly lay the whole chart out again, frames of an animation do not.
    const moved = this.box.layout.meta.axes_stay
      ? this.plotly.animate(this.box, { data: values, traces }, STEP)
      : this.plotly.restyle(this.box, Object.fromEntries(parts.map((name) => [name, values.map((one) => one[name])])), traces);
    // A frame that a later one overtakes is given up.
    this.moving = moved
      .catch(() => {})
      .then(() => {
        if (this.goal === version) this.box.dataset.version = version;
      });
  }

  // Written into the drawing itself: Plotly would lay the whole chart out again.
  #moveTitle(columns, row) {
    const { title, meta } = this.box.layout;
    const text = meta.title && columns[meta.title]?.[row];
    if (!text || title.text.replaceAll("<br>", " ") === text) return;
    title.text = retitled(this.box.querySelector(".gtitle"), text, this.box.layout, this.box.offsetWidth);
  }

  // Save a picture of what is shown, after the slider's last move.
  picture(kind, scale, filename) {
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const how = { format: kind, width, height, scale: kind === "png" ? scale : 1, filename };
    return Promise.resolve(this.moving).then(() => this.plotly.downloadImage(this.box, how));
  }

  table() {
    return tableOf(this.box);
  }

  leave() {
    this.wanted = null;
    this.corner.leave();
    this.observer?.disconnect();
    this.plotly?.purge(this.box);
  }
}

// A figure but for what follows the threshold.
function baseOf(figure) {
  const traces = figure.data.map((trace) => ({ ...trace }));
  for (const mark of figure.layout.meta?.follow || []) {
    for (const name of PARTS) if (name in mark) delete traces[mark.trace][name];
  }
  const { layout } = figure;
  if (layout.meta?.title) layout.title.text = "";
  return JSON.stringify([traces, layout]);
}

// A source is the name of a column, a number or empty text that stays, or a list of them.
function valuesOf(columns, source, row) {
  const one = (name) => (typeof name === "number" || name === "" ? name : columns[name][row]);
  const value = Array.isArray(source) ? source.map(one) : one(source);
  return Array.isArray(value) ? value : [value];
}
