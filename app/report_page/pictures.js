import { withoutTakeaway } from "../components/figure_title.js";
import { plotly, shown } from "../components/page.js";

// Draws a chart out of sight and sends it as a PNG; one that cannot be drawn is sent as nothing, so that the page goes on.
class Drawer {
  constructor() {
    this.number = 0;
  }

  take({ number, figure, url, size }, send) {
    // The page may run again while the picture is on its way.
    if (this.number === number) return;
    this.number = number;
    plotly(url)
      .then(() => {
        const { data, layout } = JSON.parse(figure);
        return window.Plotly.toImage({ data, layout: withoutTakeaway(layout) }, { format: "png", ...size });
      })
      .catch(() => "")
      .then((png) => send("picture", { number, png }));
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  return shown(
    parentElement.querySelector(".sparcode-pictures"),
    () => new Drawer(),
    (drawer) => drawer.take(data, setTriggerValue),
  );
}
