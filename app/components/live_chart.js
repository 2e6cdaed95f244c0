import { Chart } from "./chart.js";
import { CHARTS } from "./page.js";

export default function ({ data, parentElement }) {
  const chart = Chart.of(parentElement.querySelector(CHARTS));
  chart.take(data);
  return () => chart.leave();
}
