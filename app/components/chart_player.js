import { letAdd } from "./add_button.js";
import { Chart } from "./chart.js";
import { CHARTS, shown } from "./page.js";

// A reader who looks at the newest epoch stays with the newest one; any other choice stays as it is while epochs come in.
class Player {
  constructor(root) {
    this.root = root;
    this.chart = new Chart(root.querySelector(CHARTS));
    this.bar = root.querySelector(".sparcode-player-bar");
    [this.button, this.range, this.label] = ["button", "input", "span"].map((name) => this.bar.querySelector(name));
    this.at = this.last = -1;
    this.timer = null;
    this.button.onclick = () => (this.timer === null ? this.play() : this.pause());
    this.range.oninput = () => {
      this.at = Number(this.range.value);
      this.pause();
    };
  }

  take(data) {
    this.data = data;
    this.frames = JSON.parse(data.frames);
    const newest = this.at >= this.last && this.timer === null;
    this.last = this.frames.length - 1;
    this.at = newest ? this.last : Math.min(this.at, this.last);
    this.show();
  }

  play() {
    if (this.at >= this.last) this.at = 0;
    this.timer = setInterval(() => {
      if (this.at < this.last) this.at += 1;
      if (this.at >= this.last) this.pause();
      else this.show();
    }, this.data.frame_ms);
    this.show();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.show();
  }

  show() {
    const frame = this.frames[this.at];
    this.bar.hidden = this.frames.length === 0;
    this.button.textContent = this.timer === null ? "▶ Play" : "❚❚ Pause";
    this.range.max = Math.max(0, this.last);
    this.range.value = Math.max(0, this.at);
    this.label.textContent = frame ? frame.label : "";
    this.range.setAttribute("aria-valuetext", this.label.textContent);
    const figure = JSON.parse(this.data.figure);
    frame?.use.forEach((use, book) => {
      figure.data[book].y = use;
    });
    const alt = frame ? `${this.data.alt} Shown: ${frame.label}.` : this.data.alt;
    const setting = [this.data.setting, frame?.label.split(":")[0]].filter(Boolean).join(" ");
    this.chart.take({ ...this.data, figure: JSON.stringify(figure), alt, setting });
  }

  leave() {
    clearInterval(this.timer);
    this.chart.leave();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  return shown(
    parentElement.querySelector(".sparcode-player"),
    (root) => new Player(root),
    (player) => {
      player.take(data);
      letAdd(parentElement, { ...data, toAdd: player.last >= 0 ? () => player.at : null }, setTriggerValue);
    },
  );
}
