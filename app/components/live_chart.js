import { Chart } from "./chart.js";
import { CHARTS, shown } from "./page.js";

export default function ({ data, parentElement }) {
  return shown(parentElement.querySelector(CHARTS), Chart.in, (chart) => chart.take(data));
}
