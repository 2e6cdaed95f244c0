import { letAdd } from "./add_button.js";
import { Chart } from "./chart.js";
import { CHARTS, shown } from "./page.js";

export default function ({ data, parentElement, setTriggerValue }) {
  letAdd(parentElement, { ...data, toAdd: data.adds ? () => true : null }, setTriggerValue);
  return shown(parentElement.querySelector(CHARTS), Chart.in, (chart) => {
    chart.onPick = data.pickable ? (number) => setTriggerValue("pick", number) : null;
    chart.take(data);
  });
}
