// Structures that turn: one viewer a section, with all structures of the section to choose from.

const EDGES = [[0, 1], [0, 2], [0, 3], [1, 4], [1, 5], [2, 4], [2, 6], [3, 5], [3, 6], [4, 7], [5, 7], [6, 7]];
const GREY = "#808690"; // seen on light and on dark ground
const vector = ([x, y, z]) => new window.$3Dmol.Vector3(x, y, z);
const scaled = (u, factor) => u.map((x) => factor * x);
const dot = (u, v) => u.reduce((total, x, k) => total + x * v[k], 0);
const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
const unit = (u) => scaled(u, 1 / Math.hypot(...u));

function corners(cell) {
  const [a, b, c] = cell;
  const sum = (...rows) => [0, 1, 2].map((k) => rows.reduce((total, row) => total + row[k], 0));
  return [[0, 0, 0], a, b, c, sum(a, b), sum(a, c), sum(b, c), sum(a, b, c)];
}

function addCell(viewer, cell) {
  const points = corners(cell);
  for (const [i, j] of EDGES) { viewer.addCylinder({ start: vector(points[i]), end: vector(points[j]), radius: 0.025, color: GREY }); }
}

function quaternion(cell) {
  // looks along the shortest lattice vector, the longest upright
  const byLength = [...cell].sort((u, v) => Math.hypot(...u) - Math.hypot(...v));
  const z = unit(byLength[0]);
  const up = byLength[2].map((x, k) => x - dot(byLength[2], z) * z[k]);
  const y = unit(up);
  const x = cross(y, z);
  const [m00, m11, m22] = [x[0], y[1], z[2]];
  // rows x, y, z of the rotation, by the largest of the four components
  const squares = [1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22, 1 + m00 + m11 + m22];
  const most = squares.indexOf(Math.max(...squares));
  const four = 2 * Math.sqrt(squares[most]);
  const plus = { xy: x[1] + y[0], xz: x[2] + z[0], yz: y[2] + z[1] };
  const minus = { x: z[1] - y[2], y: x[2] - z[0], z: y[0] - x[1] };
  const rows = [
    [squares[0], plus.xy, plus.xz, minus.x], [plus.xy, squares[1], plus.yz, minus.y],
    [plus.xz, plus.yz, squares[2], minus.z], [minus.x, minus.y, minus.z, squares[3]],
  ];
  return scaled(rows[most], 1 / four);
}

function addAtoms(viewer, model) {
  const atoms = model.atoms.map(([elem, x, y, z], index) => ({ elem, x, y, z, index, serial: index, bonds: [], bondOrder: [] }));
  for (const [i, j] of model.bonds) {
    atoms[i].bonds.push(j); atoms[i].bondOrder.push(1);
    atoms[j].bonds.push(i); atoms[j].bondOrder.push(1);
  }
  viewer.addModel().addAtoms(atoms);
  for (const [elem, { colour, radius }] of Object.entries(model.kinds)) {
    viewer.setStyle({ elem }, { sphere: { radius, color: colour }, stick: { radius: 0.07, color: colour } });
  }
}

function addSolids(viewer, solids) {
  for (const { colour, faces } of solids) {
    const [vertexArr, normalArr, faceArr] = [[], [], []];
    const all = faces.flat();
    const middle = [0, 1, 2].map((k) => all.reduce((total, corner) => total + corner[k], 0) / all.length);
    for (const face of faces) {
      const first = vertexArr.length;
      const [p, q, r] = face;
      const across = unit(cross(...[q, r].map((end) => end.map((x, k) => x - p[k]))));
      const outward = dot(across, p.map((x, k) => x - middle[k])) < 0 ? -1 : 1;
      const normal = vector(scaled(across, outward));
      face.forEach((corner) => { vertexArr.push(vector(corner)); normalArr.push(normal); });
      for (let k = 1; k + 1 < face.length; k += 1) { faceArr.push(first, first + k, first + k + 1); }
    }
    viewer.addCustom({ vertexArr, normalArr, faceArr, color: colour, opacity: 0.6 });
  }
}

function addPaths(viewer, paths) {
  for (const { colour, points } of paths) {
    points.forEach((point, k) => {
      const end = k === 0 || k === points.length - 1;
      viewer.addSphere({ center: vector(point), radius: end ? 0.34 : 0.22, color: colour });
      if (k) { viewer.addCylinder({ start: vector(points[k - 1]), end: vector(point), radius: 0.07, color: colour, fromCap: 1, toCap: 1 }); }
    });
  }
}

function volume(lib, { n, bytes }, cell) {
  // a cube file, in bohr: the format that takes any cell
  const bohr = 1 / 0.529177210544;
  const values = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const steps = n.map((count, k) => [count, ...cell[k].map((x) => (x * bohr) / (count - 1))].join(" "));
  const lines = [];
  for (let k = 0; k < values.length; k += n[2]) { lines.push(values.subarray(k, k + n[2]).join(" ")); }
  return new lib.VolumeData(`density\n\n1 0 0 0\n${steps.join("\n")}\n1 0 0 0 0\n${lines.join("\n")}`, "cube");
}

class Viewer {
  constructor(figure, lib) {
    this.figure = figure;
    this.lib = lib;
    this.models = dataOf(figure);
    this.solids = true;
    this.stage = figure.querySelector(".stage");
    this.view = lib.createViewer(this.stage, { antialias: true, disableFog: true });
    this.view.setProjection("orthographic");
    this.choice = figure.querySelector(".choose");
    this.level = figure.querySelector(".level");
    this.bind();
    this.show();
    watchers.push(() => this.paint());
  }

  bind() {
    this.choice.addEventListener("change", () => this.show());
    this.level.addEventListener("change", () => this.paint());
    this.on("solids", (pressed) => { this.solids = pressed; this.paint(); });
    this.on("spin", (pressed) => this.view.spin(pressed ? "y" : false, 0.6));
    this.figure.querySelector(".reset").addEventListener("click", () => this.face());
    const turns = { ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"] };
    this.stage.addEventListener("keydown", (event) => {
      const zooms = { "+": 1.15, "-": 0.87 };
      if (turns[event.key]) { this.view.rotate(...turns[event.key]); } else if (zooms[event.key]) { this.view.zoom(zooms[event.key]); } else { return; }
      event.preventDefault();
      this.view.render();
    });
  }

  on(name, act) {
    const button = this.figure.querySelector(`.${name}`);
    button.addEventListener("click", () => {
      const pressed = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(pressed));
      act(pressed);
    });
  }

  get model() { return this.models[Number(this.choice.value)].data; }

  show() {
    const { grid, solids, kinds, paths } = this.model;
    this.figure.querySelector(".solids").hidden = !solids.length;
    this.level.parentElement.hidden = !grid;
    if (grid) {
      this.level.replaceChildren(...grid.levels.map(({ share, density }, k) => new Option(`${density} (${Math.round(100 * share)} % of the highest)`, share, k === 1, k === 1)));
    }
    const legend = this.figure.querySelector(".elements");
    const marks = [...Object.entries(kinds).map(([name, { colour }]) => [name, colour]), ...(paths ?? []).map(({ name, colour }) => [name, colour])];
    legend.replaceChildren(...[...new Map(marks)].map(([name, colour]) => {
      const mark = document.createElement("span");
      const dot = document.createElement("i");
      dot.style.background = colour;
      mark.append(dot, name);
      return mark;
    }));
    this.paint();
    this.face();
  }

  paint() {
    const { view, model } = this;
    view.setBackgroundColor(hexOf("--surface")); // nothing translucent is seen on a ground that is
    view.removeAllModels();
    view.removeAllShapes();
    view.removeAllSurfaces();
    addAtoms(view, model);
    addCell(view, model.cell);
    if (this.solids) { addSolids(view, model.solids); }
    addPaths(view, model.paths ?? []);
    if (model.grid) {
      const density = volume(this.lib, model.grid, model.cell);
      view.addIsosurface(density, { isoval: 255 * Math.sqrt(Number(this.level.value)), color: "#e69f00", opacity: 0.85, smoothness: 3 });
    }
    view.render();
  }

  face() {
    this.view.setView([0, 0, 0, 0, ...quaternion(this.model.cell)]);
    this.view.rotate(12, "y");
    this.view.rotate(8, "x");
    this.view.zoomTo();
    this.view.render();
    this.fit();
  }

  fit() {
    // what is drawn takes most of the frame, whatever the shape of either
    const places = [...corners(this.model.cell), ...this.model.atoms.map((atom) => atom.slice(1))].map(vector);
    const seen = this.view.modelToScreen(places);
    const [wide, high] = ["x", "y"].map((axis) => Math.max(...seen.map((p) => p[axis])) - Math.min(...seen.map((p) => p[axis])));
    const factor = 0.86 * Math.min(this.stage.clientWidth / wide, this.stage.clientHeight / high);
    if (Number.isFinite(factor) && factor > 0) { this.view.zoom(factor); }
    this.view.render();
  }
}

function beginViewers() {
  whenSeen(document.querySelectorAll(".viewer"), async (figure) => {
    try {
      figure.viewer = new Viewer(figure, await library("threedmol"));
      figure.dataset.drawn = "yes";
    } catch {
      figure.querySelector(".stage").textContent = "This browser shows no three-dimensional graphics.";
    }
  });
}
