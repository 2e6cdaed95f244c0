import { CHARTS, DRAWN, part, partsOf, shown, TILES } from "./page.js";

// If the server's answer never comes, the slider goes back to what the server knows.
const PATIENCE_MS = 15000;

// Streamlit's own slider speaks up on release only. This one moves figures and charts while it is dragged, from the measured columns that
// the server sent ahead; see `app/charts/threshold_columns.py`.
class ThresholdSlider {
  constructor(root) {
    this.root = root;
    this.input = root.querySelector("input");
    this.moving = false;
    this.waiting = null; // Stop that the server was asked for.
    this.listening = new AbortController();
    this.#on(this.input, "input", () => {
      this.moving = true;
      this.show();
      this.schedule();
    });
    this.#on(this.input, "change", () => this.release());
    // Whatever the server draws in the middle of a drag is of the threshold before it.
    this.#on(document, DRAWN, () => {
      if (this.moving || this.waiting !== null) this.schedule();
    });
  }

  #on(target, name, handler) {
    target.addEventListener(name, handler, { signal: this.listening.signal });
  }

  get percent() {
    return this.data.percents[Number(this.input.value)];
  }

  take(data, send) {
    this.data = data;
    this.send = send;
    if (this.text !== data.curve) {
      this.text = data.curve;
      this.curve = data.curve ? JSON.parse(data.curve) : null;
    }
    if (this.waiting === data.kept) this.waiting = null;
    this.input.max = String(data.percents.length - 1);
    this.input.setAttribute("aria-label", data.label);
    this.input.title = data.help;
    this.input.setAttribute("aria-description", data.help);
    this.root.querySelector("label").textContent = data.label;
    const ends = this.root.querySelectorAll(".ends span");
    ends[0].textContent = "◂ larger index";
    ends[2].textContent = "smaller index ▸";
    if (!this.moving && this.waiting === null) {
      this.input.value = String(data.percents.indexOf(data.kept));
      this.show();
    }
  }

  // The measured row next to the slider; undefined before anything is measured.
  row() {
    if (!this.curve || this.curve.stops.length === 0) return undefined;
    return nearest(this.curve.stops, Number(this.input.value));
  }

  show() {
    this.input.style.setProperty("--filled", `${(100 * Number(this.input.value)) / Number(this.input.max)}%`);
    const row = this.row();
    const here = row !== undefined && this.curve.stops[row] === Number(this.input.value);
    const caption = here ? this.curve.captions[row] : "";
    this.root.querySelector("output").textContent = caption || `${this.percent} % of scores kept`;
    const recall = here && this.curve.tiles.recall ? `, recall ${this.curve.tiles.recall.value[row]}` : "";
    this.input.setAttribute("aria-valuetext", `${this.percent} % of scores kept${recall}`);
    let note = this.data.note;
    if (this.moving && row === undefined) note = "nothing is measured yet: figures follow on release";
    else if (this.moving && !here) {
      note = `not measured yet, so ${this.data.percents[this.curve.stops[row]]} % is shown until release`;
    } else if (this.moving) note = "measured at this stop";
    this.root.querySelector(".note").textContent = note;
  }

  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const row = this.row();
    if (row === undefined) return;
    const version = this.version(row);
    const behind = partsOf(CHARTS).filter((chart) => chart.follow && !(version && chart.goal === version));
    // Asked before anything moves: a place asked for after a change makes the browser lay the page out anew.
    const inView = behind.filter((chart) => chart.inView);
    for (const tiles of partsOf(TILES)) tiles.move(this.curve.tiles, row, version);
    for (const chart of inView) chart.move(this.curve.columns, row, version);
    this.root.dataset.redraws = String(Number(this.root.dataset.redraws || 0) + 1);
    // What nobody sees waits until the slider rests, and then takes a frame for each chart.
    if (inView.length < behind.length && version && !this.moving) this.drawLater(row, version);
  }

  drawLater(row, version) {
    requestAnimationFrame(() => {
      if (this.moving || this.row() !== row || this.version(row) !== version) return;
      const chart = partsOf(CHARTS).find((one) => one.follow && one.goal !== version);
      if (!chart) return;
      chart.move(this.curve.columns, row, version);
      this.drawLater(row, version);
    });
  }

  // What the charts show with this row: the same words as the server's, empty where it is not measured.
  version(row) {
    return this.curve.stops[row] === Number(this.input.value) ? `${this.curve.version} ${this.percent}` : "";
  }

  release() {
    this.moving = false;
    this.show();
    // Unless the server still has to answer another stop.
    if (this.percent === this.data.kept && this.waiting === null) {
      putBack();
      return;
    }
    const asked = this.percent;
    this.waiting = asked;
    this.schedule();
    this.send("release", asked);
    setTimeout(() => {
      if (this.waiting !== asked) return;
      this.waiting = null;
      this.take(this.data, this.send);
      putBack();
    }, PATIENCE_MS);
  }

  leave() {
    this.listening.abort();
    cancelAnimationFrame(this.frame);
    this.waiting = null;
  }
}

function nearest(stops, stop) {
  let best = 0;
  stops.forEach((known, row) => {
    if (Math.abs(known - stop) < Math.abs(stops[best] - stop)) best = row;
  });
  return best;
}

function putBack() {
  for (const drawn of partsOf(`${CHARTS}, ${TILES}`)) drawn.redraw();
}

// Ctrl+Z in a field takes back what was typed there, not the page's last step.
function leaveUndoToFields() {
  const isUndo = (event) => (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  const isTyped = (event) => event.target.matches?.("input:not([type=range]):not([type=checkbox]), textarea");
  window.addEventListener("keydown", (event) => isUndo(event) && isTyped(event) && event.stopImmediatePropagation(), true);
  return true;
}

export default function ({ data, parentElement, setTriggerValue }) {
  part(document, leaveUndoToFields);
  return shown(
    parentElement.querySelector(".sparcode-threshold"),
    (root) => new ThresholdSlider(root),
    (slider) => slider.take(data, setTriggerValue),
  );
}
