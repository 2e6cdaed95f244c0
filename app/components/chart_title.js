// Titles in as many lines as their chart's width asks for: Plotly draws them in one, cut at the chart's edge.

const LINE_HEIGHT = 1.3;
const SVG = "http://www.w3.org/2000/svg";
// To the right of the title, for the menu in the chart's corner.
const CORNER_PX = 34;
// Of the chart's width, to the left of the title.
const INDENT = 0.01;
const ruler = document.createElement("canvas").getContext("2d");

// A figure's layout with its title and subtitle in lines, and the room that they need above the plot; `width` in pixels.
export function titledFor(layout, width) {
  const { title, margin } = layout;
  if (!title?.text || !width) return layout;
  const family = layout.font?.family;
  const [text, more] = broken(title.text, title.font, family, (1 - INDENT) * width - CORNER_PX);
  const [below, moreBelow] = title.subtitle ? broken(title.subtitle.text, title.subtitle.font, family, (1 - INDENT) * width) : ["", 0];
  return {
    ...layout,
    title: { ...title, text, ...(below && { subtitle: { ...title.subtitle, text: below } }) },
    margin: { ...margin, t: margin.t + more + moreBelow },
  };
}

// Put another title into a drawing, in no more lines than before, for which there is room; returns it as Plotly has it.
export function retitled(node, text, layout, width) {
  const [wanted] = broken(text, layout.title.font, layout.font?.family, (1 - INDENT) * width - CORNER_PX);
  const most = layout.title.text.split("<br>").length;
  const all = wanted.split("<br>");
  const parts = [...all.slice(0, most - 1), all.slice(most - 1).join(" ")].filter(Boolean);
  const lines = parts.join("<br>");
  if (!node) return lines;
  if (parts.length === 1) {
    node.textContent = text;
    return lines;
  }
  const [x, y] = ["x", "y"].map((name) => node.getAttribute(name));
  node.replaceChildren(
    ...parts.map((part, row) => {
      const line = document.createElementNS(SVG, "tspan");
      for (const [name, value] of Object.entries({ class: "line", dy: `${row * LINE_HEIGHT}em`, x, y })) line.setAttribute(name, value);
      line.textContent = part;
      return line;
    }),
  );
  return lines;
}

// A text in lines, and how many pixels it is higher than one line.
export function broken(text, font, family, width) {
  ruler.font = `${font?.weight ?? 400} ${font?.size ?? 14}px ${family}`;
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && ruler.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return [lines.join("<br>"), (lines.length - 1) * LINE_HEIGHT * (font?.size ?? 14)];
}
