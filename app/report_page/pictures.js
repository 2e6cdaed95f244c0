import { withoutTakeaway } from "../components/figure_title.js";
import { plotly, shown } from "../components/page.js";

// Draws a chart out of sight and sends it as PNG and SVG; one that cannot be drawn is sent as nothing, so that the page goes on.
class Drawer {
  constructor() {
    this.number = 0;
  }

  take({ number, figure, url, size }, send) {
    // The page may run again while the picture is on its way.
    if (this.number === number) return;
    this.number = number;
    plotly(url)
      .then((copy) => {
        const { data, layout } = JSON.parse(figure);
        const drawn = { data, layout: withoutTakeaway(layout) };
        const made = (format, scale) => copy.toImage(drawn, { ...size, format, scale });
        return Promise.all([made("png", size.scale), made("svg", 1)]);
      })
      .then(([png, svg]) => ({ png, svg: decodeURIComponent(svg.slice(svg.indexOf(",") + 1)) }))
      .catch(() => ({ png: "", svg: "" }))
      .then((pictures) => send("picture", { number, ...pictures }));
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  return shown(
    parentElement.querySelector(".sparcode-pictures"),
    () => new Drawer(),
    (drawer) => drawer.take(data, setTriggerValue),
  );
}
