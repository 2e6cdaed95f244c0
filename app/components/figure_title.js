// A chart's layout without its takeaway, for a place that has it above the chart.
export function withoutTakeaway(layout) {
  const name = layout.title?.subtitle?.text;
  return { ...layout, title: name ? { ...layout.title, text: name, subtitle: undefined } : layout.title };
}
