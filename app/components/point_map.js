import { DRAWN, shown } from "./page.js";
import { drawer } from "./point_map_gl.js";

const STEPS = 65535;
const KINDS = ["code", "item", "token"];
const SIGNS = { code: "◆", item: "▲", token: "●" };
const MODES = { lasso: "Lasso", box: "Box", move: "Move" };
const CLICK_PX = 4;
const NEAR_PX = 10;
const MOST_ZOOM = 200;
const EDGE = 0.04;
// Codes that a lasso selects at most, those with most points first.
const MOST_PICKED = 64;

// A cloud of points: what the server sent, and the part of it that the reader looks at. World coordinates go from 0 to 1.
class PointMap {
  constructor(box) {
    this.box = box;
    this.mode = "lasso";
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.drag = null;
    this.#build();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.plot);
  }

  #build() {
    const bar = make(this.box, "div", "bar");
    const group = make(bar, "div", "modes");
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", "What dragging does");
    this.modeButtons = Object.entries(MODES).map(([name, text]) => {
      const made = button(group, text, () => this.setMode(name));
      made.setAttribute("role", "radio");
      made.dataset.mode = name;
      return made;
    });
    button(bar, "+", () => this.zoomBy(1.6), "Zoom in");
    button(bar, "−", () => this.zoomBy(1 / 1.6), "Zoom out");
    button(bar, "Whole map", () => this.whole());
    this.legend = make(bar, "div", "legend");
    this.plot = make(this.box, "div", "plot");
    this.plot.tabIndex = 0;
    this.plot.setAttribute("role", "img");
    this.canvas = make(this.plot, "canvas", "points");
    this.over = make(this.plot, "canvas", "over");
    this.tip = make(this.plot, "div", "tip");
    this.tip.hidden = true;
    this.gl = drawer(this.canvas);
    this.#listen();
    this.setMode(this.mode);
  }

  #listen() {
    const on = (name, take) => this.plot.addEventListener(name, take);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#moved(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", () => this.#drop());
    on("pointerleave", () => this.#hint(null));
    on("dblclick", () => this.whole());
    on("keydown", (event) => this.#key(event));
    this.plot.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  setMode(mode) {
    this.mode = mode;
    this.plot.dataset.mode = mode;
    for (const one of this.modeButtons) one.setAttribute("aria-checked", String(one.dataset.mode === mode));
  }

  take(data, send) {
    this.send = send;
    const { cloud, marked } = data;
    this.data = data;
    this.plot.setAttribute("aria-label", data.alt);
    if (this.cloud?.version !== cloud.version) this.#newCloud(cloud);
    this.marked = marked;
    this.on = new Set(marked.units);
    this.#light();
    this.#drawLegend();
    if (marked.zoom && marked.zoom !== this.zoomed) this.#showFound();
    this.zoomed = marked.zoom;
    this.draw();
    this.box.dataset.drawn = String(Number(this.box.dataset.drawn || 0) + 1);
    this.box.dataset.marked = marked.units.join(".");
    document.dispatchEvent(new CustomEvent(DRAWN));
  }

  #newCloud(cloud) {
    this.cloud = {
      version: cloud.version,
      n: cloud.n,
      x: Float32Array.from(new Uint16Array(bytes(cloud.x)), (value) => value / STEPS),
      y: Float32Array.from(new Uint16Array(bytes(cloud.y)), (value) => 1 - value / STEPS),
      kinds: new Uint8Array(bytes(cloud.kinds)),
      units: new Float64Array(bytes(cloud.units)),
      numbers: new Int32Array(bytes(cloud.numbers)),
    };
    const { x, y } = this.cloud;
    this.cloud.wide = extent(x);
    this.cloud.high = extent(y);
    this.box.dataset.cloud = cloud.version;
  }

  // Which points are of the selection: its codes and the tokens that take them; of items those that are ranked first.
  #light() {
    const { n, units, kinds } = this.cloud;
    const lit = new Uint8Array(n);
    for (let at = 0; at < n; at++) if (kinds[at] !== 1 && this.on.has(units[at])) lit[at] = 1;
    for (const [place] of this.marked.items) lit[place] = 1;
    for (const [place] of this.marked.found) lit[place] = 1;
    this.gl.load(this.cloud, lit);
  }

  #drawLegend() {
    const { colours, legend } = this.data;
    const entries = KINDS.map((kind) => [SIGNS[kind], legend[kind], colours[kind]]);
    if (this.on.size) entries.push(["◈", "selected, and its tokens and items", colours.on]);
    if (this.marked.found.length) entries.push(["⬡", "found", colours.found]);
    this.legend.replaceChildren(
      ...entries.map(([sign, text, colour]) => {
        const entry = document.createElement("span");
        const mark = make(entry, "b", "");
        mark.textContent = `${sign} `;
        mark.style.color = colour;
        entry.append(text);
        return entry;
      }),
    );
  }

  #showFound() {
    const places = this.marked.found.map(([place]) => place);
    if (!places.length) return;
    const xs = places.map((place) => this.cloud.x[place]);
    const ys = places.map((place) => this.cloud.y[place]);
    const size = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys), 0.08);
    this.view = {
      x: (Math.max(...xs) + Math.min(...xs)) / 2,
      y: (Math.max(...ys) + Math.min(...ys)) / 2,
      zoom: Math.max(1, Math.min(MOST_ZOOM, 0.7 / size)),
    };
  }

  whole() {
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.draw();
  }

  zoomBy(factor, at = { x: this.view.x, y: this.view.y }) {
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this.view.zoom * factor));
    const by = this.view.zoom / zoom;
    this.view = { x: at.x + (this.view.x - at.x) * by, y: at.y + (this.view.y - at.y) * by, zoom };
    this.draw();
  }

  // Pixels of one unit of the world, and the pixel of its origin.
  get frame() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    const fit = Math.min(width / this.cloud.wide, height / this.cloud.high);
    const scale = fit * (1 - 2 * EDGE) * this.view.zoom;
    return { width, height, scale, left: width / 2 - this.view.x * scale, top: height / 2 - this.view.y * scale };
  }

  pixel(place) {
    const { scale, left, top } = this.frame;
    return [left + this.cloud.x[place] * scale, top + this.cloud.y[place] * scale];
  }

  draw() {
    if (!this.cloud || !this.plot.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = this.frame;
    for (const one of [this.canvas, this.over]) {
      const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (one.width !== wide || one.height !== high) Object.assign(one, { width: wide, height: high });
    }
    this.gl.draw(this.frame, ratio, this.data.colours, this.on.size + this.marked.found.length > 0);
    this.#drawOver(ratio);
  }

  #drawOver(ratio) {
    const pen = this.over.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.over.width, this.over.height);
    const style = getComputedStyle(this.plot);
    const [ink, paper] = [style.color, style.getPropertyValue("--st-background-color") || "white"];
    const { colours } = this.data;
    const taken = [];
    pen.font = `600 14px ${style.fontFamily}`;
    for (const [list, colour, sides] of [
      [this.marked.found, colours.found, 6],
      [this.marked.codes, colours.on, 4],
      [this.marked.items, colours.on, 3],
    ]) {
      for (const [place, text] of list) {
        const [x, y] = this.pixel(place);
        ring(pen, x, y, sides, colour);
        label(pen, text, x, y, { ink, paper, taken, width: this.frame.width });
      }
    }
    if (this.drag?.path) outline(pen, this.drag.path, ink);
  }

  #at(event) {
    const frame = this.plot.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  #world([x, y]) {
    const { scale, left, top } = this.frame;
    return { x: (x - left) / scale, y: (y - top) / scale };
  }

  #down(event) {
    if (event.button !== 0 || !this.cloud) return;
    this.plot.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.drag = { start: at, last: at, path: null, adds: event.shiftKey };
  }

  #moved(event) {
    const at = this.#at(event);
    const { drag } = this;
    if (!drag) {
      this.#hint(at);
      return;
    }
    if (!drag.moving && Math.hypot(at[0] - drag.start[0], at[1] - drag.start[1]) < CLICK_PX) return;
    drag.moving = true;
    this.#hint(null);
    if (this.mode === "move") {
      const { scale } = this.frame;
      this.view = { ...this.view, x: this.view.x - (at[0] - drag.last[0]) / scale, y: this.view.y - (at[1] - drag.last[1]) / scale };
    } else if (this.mode === "box") {
      const [[left, top], [right, bottom]] = [drag.start, at];
      drag.path = [
        [left, top],
        [right, top],
        [right, bottom],
        [left, bottom],
      ];
    } else {
      drag.path = [...(drag.path || [drag.start]), at];
    }
    drag.last = at;
    this.draw();
  }

  #up(event) {
    const { drag } = this;
    this.#drop();
    if (!drag || !this.cloud) return;
    if (!drag.moving) {
      const near = this.#nearest(this.#at(event));
      if (near >= 0) this.#pick([this.cloud.units[near]], "toggle");
    } else if (drag.path) {
      this.#pick(this.#inside(drag.path), drag.adds ? "add" : "replace");
    }
  }

  #drop() {
    this.drag = null;
    this.draw();
  }

  #pick(units, how) {
    this.box.dataset.picked = String(Number(this.box.dataset.picked || 0) + 1);
    if (units.length) this.send("pick", { units, how });
  }

  // Codes inside a path; where there is none, the codes of the tokens and items inside, those with most of them first.
  #inside(path) {
    const world = path.map((point) => this.#world(point));
    const { n, x, y, kinds, units } = this.cloud;
    const counts = new Map();
    let codes = [];
    for (let at = 0; at < n; at++) {
      if (!isInside(world, x[at], y[at])) continue;
      if (kinds[at] === 0) codes.push(units[at]);
      else counts.set(units[at], (counts.get(units[at]) || 0) + 1);
    }
    if (!codes.length) codes = [...counts].sort((one, other) => other[1] - one[1]).map(([unit]) => unit);
    return codes.slice(0, MOST_PICKED);
  }

  // The nearest point that is near enough; a code goes before an item, and that before a token.
  #nearest([px, py]) {
    const { scale, left, top } = this.frame;
    const { n, x, y, kinds } = this.cloud;
    let found = -1;
    let best = Number.POSITIVE_INFINITY;
    for (let at = 0; at < n; at++) {
      const distance = Math.hypot(left + x[at] * scale - px, top + y[at] * scale - py);
      if (distance < NEAR_PX && distance + 4 * kinds[at] < best) [found, best] = [at, distance + 4 * kinds[at]];
    }
    return found;
  }

  #hint(at) {
    const place = at && this.cloud ? this.#nearest(at) : -1;
    this.tip.hidden = place < 0;
    if (place < 0) return;
    const { kinds, numbers, units } = this.cloud;
    const code = this.data.names.units[units[place]] || units[place];
    const texts = {
      code: () => `code ${code}: click to select`,
      item: () => `${this.data.names.items[numbers[place]] || `item ${numbers[place]}`}, highest in the list of code ${code}`,
      token: () => `a token of training user ${numbers[place]}, nearest code ${code}`,
    };
    this.tip.textContent = texts[KINDS[kinds[place]]]();
    const [x, y] = this.pixel(place);
    this.tip.style.left = `${Math.min(x + 12, this.plot.clientWidth - this.tip.offsetWidth - 4)}px`;
    this.tip.style.top = `${Math.max(4, y - 34)}px`;
  }

  #wheel(event) {
    // A plain wheel scrolls the page.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 300), this.#world(this.#at(event)));
  }

  #key(event) {
    const step = 60 / this.frame.scale;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) this.view = { ...this.view, x: this.view.x + moves[event.key][0], y: this.view.y + moves[event.key][1] };
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.4);
    else if (event.key === "-") this.zoomBy(1 / 1.4);
    else if (event.key === "0") this.whole();
    else return;
    event.preventDefault();
    this.draw();
  }

  leave() {
    this.observer.disconnect();
    this.gl.leave();
  }
}

function make(parent, kind, name) {
  const made = parent.appendChild(document.createElement(kind));
  if (name) made.className = name;
  return made;
}

function button(parent, text, onclick, name = "") {
  const made = make(parent, "button", "");
  Object.assign(made, { type: "button", textContent: text, onclick });
  if (name) made.setAttribute("aria-label", name);
  return made;
}

// Of the points along one axis, both of which have the same middle.
function extent(values) {
  let [low, high] = [1, 0];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return Math.max(high - low, 1e-3);
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

// A hollow shape: 3, 4 or 6 corners.
function ring(pen, x, y, sides, colour) {
  pen.beginPath();
  for (let corner = 0; corner <= sides; corner++) {
    const angle = -Math.PI / 2 + (2 * Math.PI * corner) / sides;
    pen.lineTo(x + 11 * Math.cos(angle), y + 11 * Math.sin(angle));
  }
  pen.lineWidth = 3;
  pen.strokeStyle = colour;
  pen.stroke();
}

// A name beside its mark, on a ground of the page's colour; left out where it would lie on another one.
function label(pen, text, x, y, { ink, paper, taken, width }) {
  const long = pen.measureText(text).width;
  const left = x + 14 + long > width ? x - 14 - long : x + 14;
  const box = [left - 3, y - 10, left + long + 3, y + 10];
  if (!text || taken.some((one) => box[0] < one[2] && one[0] < box[2] && box[1] < one[3] && one[1] < box[3])) return;
  taken.push(box);
  pen.globalAlpha = 0.82;
  pen.fillStyle = paper;
  pen.fillRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  pen.globalAlpha = 1;
  pen.fillStyle = ink;
  pen.textBaseline = "middle";
  pen.fillText(text, left, y);
}

function outline(pen, path, ink) {
  pen.beginPath();
  for (const [x, y] of path) pen.lineTo(x, y);
  pen.closePath();
  pen.lineWidth = 2;
  pen.setLineDash([6, 4]);
  pen.strokeStyle = ink;
  pen.stroke();
  pen.setLineDash([]);
}

// Whether a point is inside a path: a ray to the right crosses it an odd number of times.
function isInside(path, x, y) {
  let inside = false;
  for (let at = 0, before = path.length - 1; at < path.length; before = at++) {
    const [one, other] = [path[at], path[before]];
    if (one.y > y !== other.y > y && x < ((other.x - one.x) * (y - one.y)) / (other.y - one.y) + one.x) inside = !inside;
  }
  return inside;
}

export default function ({ data, parentElement, setTriggerValue }) {
  return shown(
    parentElement.querySelector(".sparcode-map"),
    (box) => new PointMap(box),
    (map) => map.take(data, setTriggerValue),
  );
}
