// Follows a run: asks for its state every two seconds until there is none to ask.

"use strict";

const at = (id) => document.getElementById(id);
const shown = new Map(); // calculation key → its element

function clock(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${h ? `${h}:` : ""}${h ? String(m).padStart(2, "0") : m}:${String(s).padStart(2, "0")}`;
}

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function tell(state) {
  const left = state.seconds_left === null ? "time left being estimated" : `time left ${clock(state.seconds_left)}`;
  at("summary").textContent = state.runs
    ? `${state.stage}: ${state.finished} of ${state.count} calculations finished · running for ${clock(state.seconds)} · ${left}`
    : "The run has ended.";
  at("whole").value = state.runs && state.count ? state.finished / state.count : 1;
  at("waiting").textContent = state.waiting > 0 ? `${state.waiting} more wait for a worker.` : "";
}

function tellStages(stages) {
  at("stages").replaceChildren(...stages.map(({ name, state, seconds, reason }) => {
    const item = element("li", name);
    item.dataset.state = state;
    item.append(element("small", [state, seconds ? clock(seconds) : "", reason].filter(Boolean).join(" · ")));
    return item;
  }));
}

function calculation(one) {
  const box = element("article", "", "calculation");
  box.append(element("h3", one.name || "calculation"), element("p", "", "note"), element("div", "", "curves"));
  at("running").append(box);
  return box;
}

function draw(host, { name, unit, label, x, y }) {
  const style = getComputedStyle(document.body);
  const axis = { gridcolor: "rgba(128,134,144,0.3)", zeroline: false, automargin: true };
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: style.color, size: 11 }, height: 220,
    margin: { l: 62, r: 10, t: 10, b: 40 }, xaxis: { ...axis, title: { text: label } }, yaxis: { ...axis, title: { text: `${name} (${unit})` } },
  };
  const trace = { x, y, type: "scatter", mode: x.length < 40 ? "lines+markers" : "lines", line: { color: "#0072b2", width: 1.5 }, hovertemplate: `%{x}: %{y} ${unit}<extra></extra>` };
  window.Plotly.react(host, [trace], layout, { responsive: true, displayModeBar: false });
}

function tellRunning(running) {
  const keys = new Set(running.map(({ name }, k) => `${name} ${k}`));
  for (const [key, box] of shown) { if (!keys.has(key)) { box.remove(); shown.delete(key); } }
  running.forEach((one, k) => {
    const key = `${one.name} ${k}`;
    if (!shown.has(key)) { shown.set(key, calculation(one)); }
    const box = shown.get(key);
    const share = one.planned_steps ? ` of ${one.planned_steps} (${Math.round((100 * one.steps) / one.planned_steps)} %)` : "";
    box.querySelector("p").textContent = `${one.atoms} atoms · ${one.steps} steps${share}`;
    const curves = box.querySelector(".curves");
    while (curves.children.length < one.curves.length) { curves.append(document.createElement("div")); }
    one.curves.forEach((curve, n) => draw(curves.children[n], curve));
  });
}

async function follow() {
  try {
    const answer = await fetch("state");
    const state = await answer.json();
    tell(state);
    tellStages(state.stages);
    tellRunning(state.running);
    setTimeout(follow, 2000);
  } catch {
    at("summary").textContent = "The run has ended, or was stopped.";
    at("whole").removeAttribute("value");
    at("whole").hidden = true;
  }
}

follow();
