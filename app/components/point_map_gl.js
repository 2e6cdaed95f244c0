// Points drawn by WebGL: diamonds, triangles and discs, those that are lit in a colour of their own and on top.
const VERTEX = `
attribute vec2 place;
uniform vec4 frame;
uniform vec2 size;
uniform float across;
void main() {
  vec2 pixel = frame.xy + place * frame.z;
  gl_Position = vec4(2.0 * pixel.x / size.x - 1.0, 1.0 - 2.0 * pixel.y / size.y, 0.0, 1.0);
  gl_PointSize = across * frame.w;
}`;
const FRAGMENT = `
precision mediump float;
uniform vec4 colour;
uniform float kind;
void main() {
  vec2 at = 2.0 * gl_PointCoord - 1.0;
  float triangle = max(at.y, 2.0 * abs(at.x) - at.y);
  float far = kind < 0.5 ? abs(at.x) + abs(at.y) : kind < 1.5 ? triangle : length(at);
  if (far > 1.0) discard;
  gl_FragColor = vec4(colour.rgb * colour.a, colour.a);
}`;
export const COLOURS = ["code", "item", "token"];
// Tokens first, codes on top.
export const ORDER = [2, 1, 0];
// CSS pixels across: codes, items, tokens; lit points are larger.
export const SIZES = [11, 8, 4];
export const LARGER = 1.35;
// How strong each is; fainter where something is selected.
export const STRONG = [1, 0.75, 0.5];
export const FAINT = [0.7, 0.3, 0.18];
export const LIT = 0.95;

// What draws on a canvas; one that draws nothing where the browser has no WebGL, and says so.
export function drawer(canvas) {
  const gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true });
  return gl ? new Drawer(gl) : new NoDrawer(canvas);
}

class Drawer {
  constructor(gl) {
    this.gl = gl;
    this.program = link(gl);
    this.at = Object.fromEntries(
      ["frame", "size", "across", "colour", "kind"].map((name) => [name, gl.getUniformLocation(this.program, name)]),
    );
    [this.places, this.plain, this.lit] = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    gl.useProgram(this.program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const place = gl.getAttribLocation(this.program, "place");
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 0, 0);
  }

  // Places change with the cloud, which points are lit with every selection. There are fewer than 65,536 points.
  load(cloud, lit) {
    const { gl } = this;
    if (this.version !== cloud.version) {
      this.version = cloud.version;
      const places = new Float32Array(2 * cloud.n);
      for (let at = 0; at < cloud.n; at++) [places[2 * at], places[2 * at + 1]] = [cloud.x[at], cloud.y[at]];
      gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
      gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
    }
    const groups = { plain: [[], [], []], lit: [[], [], []] };
    for (let at = 0; at < cloud.n; at++) groups[lit[at] ? "lit" : "plain"][cloud.kinds[at]].push(at);
    for (const [name, kinds] of Object.entries(groups)) {
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this[name]);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint16Array(ORDER.flatMap((kind) => kinds[kind])), gl.DYNAMIC_DRAW);
    }
    this.counts = Object.fromEntries(Object.entries(groups).map(([name, kinds]) => [name, kinds.map((points) => points.length)]));
  }

  draw({ width, height, scale, left, top }, ratio, colours, isSelected) {
    const { gl, at } = this;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform4f(at.frame, left, top, scale, ratio);
    gl.uniform2f(at.size, width, height);
    this.#group("plain", (kind) => [...rgb(colours[COLOURS[kind]]), (isSelected ? FAINT : STRONG)[kind]], 1);
    this.#group("lit", () => [...rgb(colours.on), LIT], LARGER);
  }

  #group(name, colourOf, larger) {
    const { gl, at } = this;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this[name]);
    let from = 0;
    for (const kind of ORDER) {
      const count = this.counts[name][kind];
      gl.uniform1f(at.kind, kind);
      gl.uniform1f(at.across, SIZES[kind] * larger);
      gl.uniform4f(at.colour, ...colourOf(kind));
      // Two bytes each.
      if (count) gl.drawElements(gl.POINTS, count, gl.UNSIGNED_SHORT, 2 * from);
      from += count;
    }
  }

  // Browsers allow few contexts at a time.
  leave() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

class NoDrawer {
  constructor(canvas) {
    const note = document.createElement("p");
    note.textContent = "This browser has no WebGL, so the points cannot be drawn; everything else on the page works.";
    canvas.parentElement.append(note);
  }
  load() {}
  draw() {}
  leave() {}
}

function link(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return program;
}

function rgb(hex) {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
}
