import { letAdd } from "./add_button.js";
import { Corner, saveAs } from "./chart_corner.js";
import { DRAWN, shown } from "./page.js";
import { drawer } from "./point_map_gl.js";
import { besideMark, cornersOf, label, outline, ring } from "./point_map_marks.js";
import { pngOf, pointRows, svgOf } from "./point_map_saved.js";

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
    this.corner = new Corner(this);
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
    this.corner.take(data.title, data.setting, cloud.n === 0);
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
      middle: cloud.middle,
      size: cloud.size,
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
    this.lit = lit;
    this.gl.load(this.cloud, lit);
  }

  get isSelected() {
    return this.on.size + this.marked.found.length > 0;
  }

  // Sign, text and colour of each.
  get legendEntries() {
    const { colours, legend } = this.data;
    const entries = KINDS.map((kind) => [SIGNS[kind], legend[kind], colours[kind]]);
    if (this.on.size) entries.push(["◈", "selected, and its tokens and items", colours.on]);
    if (this.marked.found.length) entries.push(["⬡", "found", colours.found]);
    return entries;
  }

  #drawLegend() {
    this.legend.replaceChildren(
      ...this.legendEntries.map(([sign, text, colour]) => {
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
    this.gl.draw(this.frame, ratio, this.data.colours, this.isSelected);
    this.#drawOver(ratio);
  }

  #drawOver(ratio) {
    const pen = this.over.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.over.width, this.over.height);
    const { ink, paper } = this.look;
    for (const mark of this.marks) {
      ring(pen, mark);
      if (mark.ground) label(pen, mark, ink, paper);
    }
    if (this.drag?.path) outline(pen, this.drag.path, ink);
  }

  // Colours of text and ground, and the typeface.
  get look() {
    const style = getComputedStyle(this.plot);
    return { ink: style.color, paper: style.getPropertyValue("--st-background-color") || "white", family: style.fontFamily };
  }

  // What has a name of its own, in the order it is drawn: its shape, and where the name stands on its ground; that of a name which would
  // lie on another one is null.
  get marks() {
    const { colours } = this.data;
    const { width } = this.frame;
    const pen = this.over.getContext("2d");
    pen.font = `600 14px ${this.look.family}`;
    const taken = [];
    return [
      [this.marked.found, colours.found, 6],
      [this.marked.codes, colours.on, 4],
      [this.marked.items, colours.on, 3],
    ].flatMap(([list, colour, sides]) =>
      list.map(([place, text]) => {
        const [x, y] = this.pixel(place);
        return { corners: cornersOf(x, y, sides), colour, text, ...besideMark(pen, text, x, y, taken, width) };
      }),
    );
  }

  // Pixels of the points of a kind that are looked at, lit (1) or not (0).
  placesInView(kind, lit) {
    const { width, height } = this.frame;
    const places = [];
    this.cloud.kinds.forEach((one, at) => {
      if (one !== kind || this.lit[at] !== lit) return;
      const [x, y] = this.pixel(at);
      if (x >= 0 && x <= width && y >= 0 && y <= height) places.push([x, y]);
    });
    return places;
  }

  kindOf(at) {
    return KINDS[this.cloud.kinds[at]];
  }

  codeOf(at) {
    return this.data.names.units[this.cloud.units[at]] || String(this.cloud.units[at]);
  }

  titleOf(at) {
    const number = this.cloud.numbers[at];
    if (this.kindOf(at) === "code") return `code ${this.codeOf(at)}`;
    return this.kindOf(at) === "item" ? this.data.names.items[number] || `item ${number}` : `token of training user ${number}`;
  }

  // For its corner: the map as it is looked at, and all of its points.
  picture(kind, scale, name) {
    const drawn = svgOf(this);
    const made = kind === "png" ? pngOf(drawn, scale) : Promise.resolve(new Blob([drawn.text], { type: "image/svg+xml" }));
    return made.then((blob) => saveAs(blob, `${name}.${kind}`));
  }

  table() {
    return pointRows(this);
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
    const [title, code] = [this.titleOf(place), this.codeOf(place)];
    const more = { code: ": click to select", item: `, highest in the list of code ${code}`, token: `, nearest code ${code}` };
    this.tip.textContent = title + more[this.kindOf(place)];
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
    this.corner.leave();
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
  letAdd(parentElement, { name: data.title, toAdd: data.cloud.n ? () => true : null, note: data.note }, setTriggerValue);
  return shown(
    parentElement.querySelector(".sparcode-map"),
    (box) => new PointMap(box),
    (map) => map.take(data, setTriggerValue),
  );
}
