// What stands out on a map of points: hollow shapes with names beside them, and the outline of a lasso.

// Of a shape with 3, 4 or 6 corners.
export function cornersOf(x, y, sides) {
  return Array.from({ length: sides }, (_, corner) => {
    const angle = -Math.PI / 2 + (2 * Math.PI * corner) / sides;
    return [x + 11 * Math.cos(angle), y + 11 * Math.sin(angle)];
  });
}

export function ring(pen, { corners, colour }) {
  pen.beginPath();
  for (const [x, y] of corners) pen.lineTo(x, y);
  pen.closePath();
  pen.lineWidth = 3;
  pen.strokeStyle = colour;
  pen.stroke();
}

// Where a name stands beside its mark, and the ground under it, which is added to those `taken`; no ground where it would lie on one.
export function besideMark(pen, text, x, y, taken, width) {
  const long = pen.measureText(text).width;
  const left = x + 14 + long > width ? x - 14 - long : x + 14;
  const box = [left - 3, y - 10, left + long + 3, y + 10];
  const isFree = text && !taken.some((one) => box[0] < one[2] && one[0] < box[2] && box[1] < one[3] && one[1] < box[3]);
  if (isFree) taken.push(box);
  return { left, middle: y, ground: isFree ? box : null };
}

// A name on a ground of the page's colour.
export function label(pen, { text, left, middle, ground }, ink, paper) {
  pen.globalAlpha = 0.82;
  pen.fillStyle = paper;
  pen.fillRect(ground[0], ground[1], ground[2] - ground[0], ground[3] - ground[1]);
  pen.globalAlpha = 1;
  pen.fillStyle = ink;
  pen.textBaseline = "middle";
  pen.fillText(text, left, middle);
}

export function outline(pen, path, ink) {
  pen.beginPath();
  for (const [x, y] of path) pen.lineTo(x, y);
  pen.closePath();
  pen.lineWidth = 2;
  pen.setLineDash([6, 4]);
  pen.strokeStyle = ink;
  pen.stroke();
  pen.setLineDash([]);
}
