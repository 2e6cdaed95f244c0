import { broken } from "./chart_title.js";
import { COLOURS, FAINT, LARGER, LIT, ORDER, SIZES, STRONG } from "./point_map_gl.js";

// Pixels of the page around what is drawn, and between lines.
const PAD = 12;
const LINE = 20;
const TITLE_FONT = { size: 16, weight: 600 };
const WORDS_FONT = { size: 13 };
const NAME_FONT = { size: 14, weight: 600 };
const SIGN_WIDTH = 16;
const GAP = 16;

// A map as SVG text, as it is looked at: title, caption and legend, the points in view, marks and names; with its size in pixels.
export function svgOf(map) {
  const { ink, paper, family } = map.look;
  const { width, height } = map.frame;
  const wide = width + 2 * PAD;
  let top = PAD;
  const line = (text, font) => {
    top += LINE;
    return textAt(text, PAD, top - 6, ink, font);
  };
  const lines = (text, font) => broken(text, font, family, width)[0].split("<br>").filter(Boolean);
  const head = [
    ...lines(map.data.title, TITLE_FONT).map((text) => line(text, TITLE_FONT)),
    ...lines(map.data.caption, WORDS_FONT).map((text) => line(text, WORDS_FONT)),
  ];
  let left = PAD;
  top += LINE;
  for (const [sign, text, colour] of map.legendEntries) {
    const room = SIGN_WIDTH + widthOf(text, WORDS_FONT, family);
    if (left > PAD && left + room > PAD + width) {
      left = PAD;
      top += LINE;
    }
    head.push(textAt(sign, left, top - 6, colour, WORDS_FONT), textAt(text, left + SIGN_WIDTH, top - 6, ink, WORDS_FONT));
    left += room + GAP;
  }
  top += 4;
  const high = top + height + PAD;
  const text = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${high}" viewBox="0 0 ${wide} ${high}" font-family="${safe(family)}">`,
    `<rect width="${wide}" height="${high}" fill="${safe(paper)}"/>`,
    ...head,
    `<svg x="${PAD}" y="${top}" width="${width}" height="${height}">`,
    ...pointsOf(map),
    ...marksOf(map),
    "</svg>",
    `<rect x="${PAD}" y="${top}" width="${width}" height="${height}" fill="none" stroke="${ink}" stroke-opacity="0.3"/>`,
    "</svg>",
  ].join("\n");
  return { text, width: wide, height: high };
}

// The same as a PNG, at so many pixels for each of the page.
export async function pngOf({ text, width, height }, scale) {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: scale * width, height: scale * height });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("not drawn"))), "image/png");
  });
}

// Rows of all points, the headings first; places in the plane's own units.
export function pointRows(map) {
  const { n, x, y, middle, size } = map.cloud;
  const rows = [["title", "kind", "code", "x", "y"]];
  const plane = (value, axis) => Number((middle[axis] + (value - 0.5) * size).toPrecision(6));
  for (let at = 0; at < n; at++) rows.push([map.titleOf(at), map.kindOf(at), map.codeOf(at), plane(x[at], 0), plane(1 - y[at], 1)]);
  return rows;
}

// Tokens first, codes on top, then what is lit, as on the screen.
function pointsOf(map) {
  const { colours } = map.data;
  const strengths = map.isSelected ? FAINT : STRONG;
  return [0, 1].flatMap((lit) =>
    ORDER.map((kind) => {
      const half = (SIZES[kind] * (lit ? LARGER : 1)) / 2;
      const colour = lit ? colours.on : colours[COLOURS[kind]];
      const shapes = map.placesInView(kind, lit).map(([x, y]) => shapeOf(kind, x, y, half));
      return `<g fill="${colour}" fill-opacity="${lit ? LIT : strengths[kind]}">${shapes.join("")}</g>`;
    }),
  );
}

// A diamond, a triangle or a disc.
function shapeOf(kind, x, y, half) {
  const [left, up] = [round(x), round(y)];
  const [one, two] = [round(half), round(2 * half)];
  if (kind === 2) return `<circle cx="${left}" cy="${up}" r="${one}"/>`;
  if (kind === 1) return `<path d="M${left} ${round(y - half)}l${one} ${two}h${-two}z"/>`;
  return `<path d="M${left} ${round(y - half)}l${one} ${one}l${-one} ${one}l${-one} ${-one}z"/>`;
}

function marksOf(map) {
  const { ink, paper } = map.look;
  return map.marks.flatMap(({ corners, colour, text, left, middle, ground }) => {
    const ring = `<path d="M${corners.map((corner) => corner.map(round).join(" ")).join("L")}Z" fill="none" stroke="${colour}" stroke-width="3"/>`;
    if (!ground) return [ring];
    const [x, y, right, bottom] = ground.map(round);
    const under = `<rect x="${x}" y="${y}" width="${round(right - x)}" height="${round(bottom - y)}" fill="${safe(paper)}" fill-opacity="0.82"/>`;
    return [ring, under, textAt(text, round(left), round(middle + 5), ink, NAME_FONT)];
  });
}

function textAt(text, x, y, colour, { size, weight = 400 }) {
  return `<text x="${x}" y="${y}" fill="${safe(colour)}" font-size="${size}" font-weight="${weight}">${safe(text)}</text>`;
}

function widthOf(text, { size, weight = 400 }, family) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${weight} ${size}px ${family}`;
  return pen.measureText(text).width;
}

function round(value) {
  return Math.round(10 * value) / 10;
}

// Text inside of XML, which some control characters may not stand in.
function safe(text) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return String(text)
    .replace(/\p{Cc}/gu, " ")
    .replace(/[&<>"]/g, (sign) => entities[sign]);
}
