// Points drawn by WebGL: diamonds, triangles and discs, those that are lit in a colour of their own and on top.
const VERTEX = `
attribute vec2 place;
attribute float kind;
attribute float lit;
uniform vec4 frame;
uniform vec2 size;
uniform float pass;
uniform vec3 sizes;
varying float vKind;
void main() {
  vec2 pixel = frame.xy + place * frame.z;
  vec2 clip = vec2(2.0 * pixel.x / size.x - 1.0, 1.0 - 2.0 * pixel.y / size.y);
  bool drawn = abs(kind - mod(pass, 3.0)) < 0.5 && abs(lit - step(2.5, pass)) < 0.5;
  gl_Position = vec4(drawn ? clip : vec2(4.0), 0.0, 1.0);
  float own = kind < 0.5 ? sizes.x : kind < 1.5 ? sizes.y : sizes.z;
  gl_PointSize = own * frame.w * (lit > 0.5 ? 1.35 : 1.0);
  vKind = kind;
}`;
const FRAGMENT = `
precision mediump float;
uniform vec4 colour;
varying float vKind;
void main() {
  vec2 at = 2.0 * gl_PointCoord - 1.0;
  float triangle = max(at.y, 2.0 * abs(at.x) - at.y);
  float far = vKind < 0.5 ? abs(at.x) + abs(at.y) : vKind < 1.5 ? triangle : length(at);
  if (far > 1.0) discard;
  gl_FragColor = vec4(colour.rgb * colour.a, colour.a);
}`;
const COLOURS = ["code", "item", "token"];
// CSS pixels across: codes, items, tokens.
const SIZES = [11, 8, 4];
// How strong each is; fainter where something is selected.
const STRONG = [1, 0.75, 0.5];
const FAINT = [0.7, 0.3, 0.18];

// What draws on a canvas; one that draws nothing where the browser has no WebGL, and says so.
export function drawer(canvas) {
  const gl = canvas.getContext("webgl", { antialias: true, premultipliedAlpha: true });
  return gl ? new Drawer(gl) : new NoDrawer(canvas);
}

class Drawer {
  constructor(gl) {
    this.gl = gl;
    this.program = link(gl);
    this.buffers = Object.fromEntries(["place", "kind", "lit"].map((name) => [name, gl.createBuffer()]));
    this.n = 0;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  // Places change with the cloud, what is lit with every selection.
  load(cloud, lit) {
    if (this.version !== cloud.version) {
      this.version = cloud.version;
      this.n = cloud.n;
      const places = new Float32Array(2 * cloud.n);
      for (let at = 0; at < cloud.n; at++) [places[2 * at], places[2 * at + 1]] = [cloud.x[at], cloud.y[at]];
      this.#fill("place", places);
      this.#fill("kind", Float32Array.from(cloud.kinds));
    }
    this.#fill("lit", lit);
  }

  draw({ width, height, scale, left, top }, ratio, colours, isSelected) {
    const { gl, program } = this;
    const uniform = (name) => gl.getUniformLocation(program, name);
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(program);
    this.#attribute("place", 2);
    this.#attribute("kind", 1);
    this.#attribute("lit", 1);
    gl.uniform4f(uniform("frame"), left, top, scale, ratio);
    gl.uniform2f(uniform("size"), width, height);
    gl.uniform3f(uniform("sizes"), ...SIZES);
    // Tokens first, codes last; then what is lit, in the same order.
    for (const pass of [2, 1, 0, 5, 4, 3]) {
      const kind = pass % 3;
      const strength = pass > 2 ? 0.95 : (isSelected ? FAINT : STRONG)[kind];
      gl.uniform1f(uniform("pass"), pass);
      gl.uniform4f(uniform("colour"), ...rgb(pass > 2 ? colours.on : colours[COLOURS[kind]]), strength);
      gl.drawArrays(gl.POINTS, 0, this.n);
    }
  }

  #fill(name, values) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
  }

  #attribute(name, width) {
    const { gl } = this;
    const at = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, width, gl.FLOAT, false, 0, 0);
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
