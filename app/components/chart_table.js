// A chart's numbers as a table, and the table as CSV.

const ARRAYS = { f4: Float32Array, f8: Float64Array, i4: Int32Array };
// A spreadsheet runs a text that begins like this as a formula.
const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?\d[\d.]*(e[+-]?\d+)?$/i;
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

// Rows of a figure's drawn points, the headings first: series, x and y under their axes' titles, and what `name_columns` names beside.
export function tableOf({ data, layout }) {
  const named = layout.meta?.columns || {};
  const drawn = data.filter((trace) => trace.mode !== "none" && (trace.name || trace.hoverinfo !== "skip"));
  const heads = ["x", "y"].map((axis) => plain(named[axis] || layout[`${axis}axis`]?.title?.text || "value"));
  const cells = drawn.find((trace) => trace.z);
  if (cells) return cellsOf(cells, [...heads, plain(named.z ?? cells.name), ...(named.text ? [named.text] : [])]);
  const more = named.customdata || [];
  // Bars to the right are named by their y.
  const order = drawn.some((trace) => trace.orientation === "h") ? [1, 0] : [0, 1];
  const withSeries = drawn.some((trace) => trace.name);
  const rows = [[...(withSeries ? ["series"] : []), ...order.map((at) => heads[at]), ...(named.text ? [named.text] : []), ...more]];
  for (const trace of drawn) {
    const [x, y, text, custom] = [trace.x, trace.y, trace.text, trace.customdata].map(listOf);
    for (let at = 0; at < Math.min(x.length, y.length); at += 1) {
      const point = [x[at], y[at]];
      if (point.some(isMissing)) continue;
      const beside = [custom[at]].flat();
      rows.push([
        ...(withSeries ? [plain(trace.name ?? "")] : []),
        ...order.map((place) => shownValue(point[place])),
        ...(named.text ? [shownValue(text[at])] : []),
        ...more.map((_, place) => shownValue(beside[place])),
      ]);
    }
  }
  return rows;
}

// Rows of a table of cells, which may number its columns and rows, under the headings of x, y, value and, if there is one more, text.
function cellsOf({ x, y, z, text }, heads) {
  const [columns, sides, values, texts] = [x, y, z, text].map(listOf);
  const rows = values.flatMap((row, at) =>
    [...row].map((value, place) => {
      const more = heads.length > 3 ? [shownValue(texts[at]?.[place])] : [];
      return [shownValue(columns[place] ?? place), shownValue(sides[at] ?? at), shownValue(value), ...more];
    }),
  );
  return [heads, ...rows.filter((row) => row[2] !== "")];
}

// The mark at the start tells spreadsheets that it is UTF-8.
export function csvOf(rows) {
  return `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

function cell(value) {
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) && !NUMBER.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// Text without Plotly's marks, numbers as they are, nothing for what has no value.
function shownValue(value) {
  if (isMissing(value)) return "";
  return typeof value === "number" ? value : plain(String(value));
}

function isMissing(value) {
  return value === null || value === undefined || Number.isNaN(value);
}

export function plain(text) {
  return text
    .replace(/<sup>(.*?)<\/sup>/g, "^$1")
    .replace(/<br\s*\/?>/g, "; ")
    .replace(/<[^>]*>/g, "")
    .replace(/&(lt|gt|amp);/g, (entity) => ENTITIES[entity]);
}

// A trace's values, which the server may have sent as the bytes of an array, in rows where it has two axes.
function listOf(values) {
  if (typeof values?.bdata !== "string") return ArrayBuffer.isView(values) || Array.isArray(values) ? [...values] : [];
  const bytes = Uint8Array.from(atob(values.bdata), (one) => one.charCodeAt(0));
  const flat = [...new ARRAYS[values.dtype](bytes.buffer)];
  const width = Number(String(values.shape ?? "").split(",")[1] ?? 0);
  if (!width) return flat;
  return Array.from({ length: flat.length / width }, (_, row) => flat.slice(row * width, (row + 1) * width));
}
