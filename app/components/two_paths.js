import { shown } from "./page.js";

const PLAY_MS = 2600;

// Both paths at one stage. Stages are buttons; arrow keys move between them, and Play goes through all.
class Paths {
  constructor(root) {
    this.root = root;
    this.bar = root.querySelector(".steps");
    this.at = 0;
    this.timer = null;
    this.bar.addEventListener("keydown", (event) => this.#key(event));
  }

  take(data) {
    this.stages = data.stages;
    this.at = Math.min(this.at, this.stages.length - 1);
    this.bar.replaceChildren(...this.stages.map((stage, place) => this.#button(`${place + 1} ${stage.title}`, () => this.go(place))));
    this.play = this.#button("", () => (this.timer === null ? this.start() : this.stop()));
    this.play.className = "play";
    this.bar.append(this.play);
    this.show();
  }

  go(place) {
    this.stop();
    this.at = Math.max(0, Math.min(this.stages.length - 1, place));
    this.show();
  }

  start() {
    if (this.at === this.stages.length - 1) this.at = 0;
    this.timer = setInterval(() => {
      this.at += 1;
      if (this.at === this.stages.length - 1) this.stop();
      this.show();
    }, PLAY_MS);
    this.show();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.#label();
  }

  show() {
    const stage = this.stages[this.at];
    for (const [place, button] of [...this.bar.children].entries()) {
      if (place === this.at) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    }
    for (const lane of this.root.querySelectorAll("article")) fill(lane, stage[lane.dataset.lane]);
    this.#label();
  }

  leave() {
    clearInterval(this.timer);
  }

  #label() {
    this.play.textContent = this.timer === null ? "▶ Play" : "❚❚ Pause";
  }

  #button(text, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.onclick = act;
    return button;
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.go(this.at + step);
    this.bar.children[this.at].focus();
  }
}

function fill(lane, content) {
  lane.querySelector("p").replaceChildren(...bold(content.text));
  lane.querySelector(".strips").replaceChildren(...content.strips.map(strip));
  lane.querySelector("ul").replaceChildren(...content.chips.map(chip));
}

// Text with **bold** parts; nothing else of it has an effect.
function bold(text) {
  return text.split("**").map((part, place) => {
    if (place % 2 === 0) return document.createTextNode(part);
    const strong = document.createElement("strong");
    strong.textContent = part;
    return strong;
  });
}

function strip(values) {
  const row = document.createElement("div");
  row.className = "strip";
  row.setAttribute("role", "img");
  row.setAttribute("aria-label", `a vector of ${values.length} numbers`);
  for (const value of values) {
    const cell = document.createElement("i");
    cell.style.setProperty("--size", Math.abs(value));
    cell.dataset.sign = value < 0 ? "minus" : "plus";
    row.append(cell);
  }
  return row;
}

function chip([label, strength]) {
  const item = document.createElement("li");
  item.textContent = label;
  if (strength > 0) item.style.setProperty("--strength", strength);
  return item;
}

export default function ({ data, parentElement }) {
  return shown(
    parentElement.querySelector(".sparcode-paths"),
    (root) => new Paths(root),
    (paths) => paths.take(data),
  );
}
