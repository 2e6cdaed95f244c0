import { withoutTakeaway } from "../components/figure_title.js";
import { plotly, shown } from "../components/page.js";

const NEXT = ["ArrowRight", "ArrowDown", "PageDown", " "];
const BEFORE = ["ArrowLeft", "ArrowUp", "PageUp"];
// Widths in pixels that charts are made for; larger ones are magnified, texts and lines alike.
const [ALONE, BESIDE] = [860, 600];
const HOLD = { staticPlot: true, displayModeBar: false, responsive: false };

// All views are here, so stepping asks nothing of the server, and goes on where the connection is lost.
class Presentation {
  constructor(root) {
    this.root = root;
    [this.title, this.note, this.content, this.foot, this.status, this.count] = [
      "h1",
      ".note",
      ".content",
      ".foot",
      "[role=status]",
      "output",
    ].map((name) => root.querySelector(name));
    this.at = null;
    this.plotly = null;
    this.listening = new AbortController();
    const { signal } = this.listening;
    document.addEventListener("keydown", (event) => this.#press(event), { signal });
    const [before, next] = root.querySelectorAll("button");
    before.addEventListener("click", () => this.#step(-1), { signal });
    next.addEventListener("click", () => this.#step(1), { signal });
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.content);
    root.focus({ preventScroll: true });
  }

  take(data) {
    const text = JSON.stringify(data);
    if (this.text === text) return;
    this.text = text;
    this.data = data;
    this.at = Math.min(this.at ?? data.at, data.views.length - 1);
    this.status.textContent = data.said || (data.leaves ? "← → to step, Esc to leave" : "");
    this.#show();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.data.views.length - 1;
    const by = NEXT.includes(event.key) ? 1 : BEFORE.includes(event.key) ? -1 : { Home: -last, End: last }[event.key];
    if (event.key === "Escape" && this.data.leaves) this.#leave();
    if (by === undefined) return;
    // Space on a button presses it.
    if (event.key === " " && event.target.closest?.("button")) return;
    event.preventDefault();
    this.#step(by);
  }

  #leave() {
    const address = new URL(window.location.href);
    for (const name of ["present", "view"]) address.searchParams.delete(name);
    window.location.assign(address);
  }

  #step(by) {
    const at = Math.min(Math.max(0, this.at + by), this.data.views.length - 1);
    if (at === this.at) return;
    this.at = at;
    this.status.textContent = "";
    const address = new URL(window.location.href);
    address.searchParams.set("view", String(at + 1));
    window.history.replaceState(window.history.state, "", address);
    this.#show();
  }

  #show() {
    const view = this.data.views[this.at];
    this.title.textContent = view.title;
    this.note.textContent = view.note;
    this.foot.textContent = view.foot;
    this.count.textContent = `${this.at + 1} / ${this.data.views.length}`;
    this.#purge();
    this.content.replaceChildren(...[tilesOf(view), tableOf(view), this.#chartsOf(view)].filter(Boolean));
    this.root.dataset.view = String(this.at + 1);
    this.#draw();
  }

  #chartsOf({ figures, title }) {
    if (figures.length === 0) return null;
    const row = element("div", "charts");
    for (const text of figures) {
      const box = row.appendChild(element("div", "")).appendChild(element("div", "sparcode-view-chart"));
      box.figure = JSON.parse(text);
      box.setAttribute("role", "img");
      box.setAttribute("aria-label", box.figure.layout.title?.text || title);
    }
    return row;
  }

  #draw() {
    const boxes = this.#boxes();
    if (boxes.length === 0) return;
    plotly(this.data.url).then((copy) => {
      this.plotly = copy;
      for (const box of boxes) if (box.isConnected) magnified(copy, box, boxes.length);
    });
  }

  #boxes() {
    return [...this.content.querySelectorAll(".sparcode-view-chart")];
  }

  #purge() {
    for (const box of this.#boxes()) this.plotly?.purge(box);
  }

  leave() {
    this.listening.abort();
    this.observer.disconnect();
    this.#purge();
  }
}

// Drawn at the size it is made for and magnified, so that texts grow with the screen.
function magnified(copy, box, beside) {
  const { clientWidth, clientHeight } = box.parentElement;
  if (!clientWidth || !clientHeight) return;
  const scale = Math.max(1, clientWidth / (beside > 1 ? BESIDE : ALONE));
  const size = { width: Math.round(clientWidth / scale), height: Math.round(clientHeight / scale), autosize: false };
  box.style.transform = `scale(${scale})`;
  const { data, layout } = box.figure;
  const titled = beside > 1 ? layout : withoutTakeaway(layout);
  copy.react(box, data, { ...titled, ...size }, HOLD).then(() => {
    box.dataset.drawn = "yes";
  });
}

function tilesOf({ tiles }) {
  if (tiles.length === 0) return null;
  const row = element("div", "tiles");
  for (const tile of tiles) {
    const card = row.appendChild(element("div", ""));
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", tile.label);
    for (const name of ["label", "value", "caption"]) card.appendChild(element("div", name)).textContent = tile[name];
    card.querySelector(".value").style.setProperty("--chars", tile.value.length);
  }
  return row;
}

function tableOf({ table }) {
  if (!table) return null;
  const made = element("table", "");
  const add = (kind, cells, place) => {
    const row = place.appendChild(element("tr", ""));
    for (const cell of cells) row.appendChild(element(kind, "")).textContent = cell;
  };
  add("th", table.columns, made.appendChild(element("thead", "")));
  const body = made.appendChild(element("tbody", ""));
  for (const row of table.rows) add("td", row, body);
  return made;
}

function element(kind, name) {
  const made = document.createElement(kind);
  made.className = name;
  return made;
}

export default function ({ data, parentElement }) {
  return shown(
    parentElement.querySelector(".sparcode-present"),
    (root) => new Presentation(root),
    (presentation) => presentation.take(data),
  );
}
