"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const $ = (id) => document.getElementById(id);
const number = (value, digits = 0) => value.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits});

function element(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

// --- Charts.

// Plotly takes its labels for a kind of HTML: here they are only text, isolated from the direction of others.
const ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"};
const plain = (text) => `\u2068${String(text).replace(/[&<>]/g, (one) => ESCAPES[one])}\u2069`;
const short = (text, most) => { const all = [...String(text)]; return all.length > most ? all.slice(0, most - 1).join("") + "…" : text; };

function theme() {
  const style = getComputedStyle(root), colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {colour, series: colour("series").split(/\s+/)};
}
function layout({colour}, height, more = {}) {
  return {
    height, dragmode: false, paper_bgcolor: colour("surface"), plot_bgcolor: colour("surface"),
    font: {family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink")},
    margin: {l: 8, r: 8, t: 8, b: 8, pad: 4},
    hoverlabel: {bgcolor: colour("surface"), bordercolor: colour("line"), font: {color: colour("ink"), size: 13}, align: "left"},
    legend: {orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", traceorder: "normal"},
    ...more,
  };
}
// A source has the same colour in all charts; other series go by their place.
const colourOf = (look, name, place) => { const known = data.sources.indexOf(name); return look.series[(known < 0 ? place : known) % look.series.length]; };
const axis = ({colour}, more = {}) => ({automargin: true, fixedrange: true, gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, ...more});

function bars(chart, width, look) {
  const names = Object.keys(chart.series), count = chart.categories.length, across = chart.horizontal;
  const room = across ? Math.max(10, Math.floor(width / 18)) : Infinity;
  const told = (value) => chart.percent ? `${number(value * 100, 1)} %` : number(value);
  const places = chart.categories.map((_, place) => place);
  // Of many intervals the axis tells where they begin.
  const ticks = chart.categories.map((one) => chart.histogram && count > 12 ? one.split("–")[0] : short(one, room));
  // The labels of a row of bars need room: every nth is written.
  const widest = Math.max(...ticks.map((one) => [...one].length));
  const every = across ? 1 : Math.max(1, Math.ceil(count * Math.min(widest * 8 + 10, 32) / (width - 60)));
  const ticked = places.filter((place) => place % every === 0);
  const traces = names.map((name, at) => {
    const values = chart.series[name];
    return {
      type: "bar", name: plain(short(name, 40)), orientation: across ? "h" : "v",
      x: across ? values : places, y: across ? places : values,
      hoverinfo: "text", textposition: "none", marker: {color: colourOf(look, name, at), line: {width: 0}},
      hovertext: values.map((value, place) => `${plain(short(chart.categories[place], 60))}<br>${names.length > 1 ? plain(short(name, 60)) + ": " : ""}${told(value)}`),
    };
  });
  const labels = axis(look, {
    tickvals: ticked, ticktext: ticked.map((place) => plain(ticks[place])), showgrid: false,
    ...(across ? {autorange: "reversed"} : {title: {text: plain(chart.axis), standoff: 8, font: {size: 13}}, tickangle: widest * 8 > (width - 60) * every / count ? -60 : 0}),
  });
  const stacked = chart.mode === "stack", most = Math.max(...places.map((place) => {
    const all = names.map((name) => chart.series[name][place]);
    return stacked ? all.reduce((sum, one) => sum + one, 0) : Math.max(...all);
  }));
  const values = axis(look, {
    nticks: Math.max(3, Math.floor(width / 110)), title: {text: plain(chart.value), standoff: 8, font: {size: 13}},
    range: [0, chart.percent ? Math.min(1, most * 1.05) : most * 1.05], tickformat: chart.percent ? ".0%" : ",~r", ...(!chart.percent && most < 4 ? {dtick: 1} : {}),
  });
  const legend = names.length > 1 || chart.mode === "group";
  const thick = chart.mode === "group" ? Math.max(24, 15 * names.length + 8) : 26;
  const rows = legend ? Math.ceil(names.reduce((sum, name) => sum + Math.min(40, [...name].length) * 8 + 55, 0) / width) * 22 : 0;
  const height = (across ? 84 + thick * count : 290) + rows;
  const margin = {l: 8, r: 12, t: 8 + rows, b: 8, pad: 4};
  return [traces, layout(look, height, {
    barmode: chart.mode, bargap: chart.histogram ? 0.06 : 0.25, margin, showlegend: legend,
    xaxis: across ? values : labels, yaxis: across ? labels : values,
  }), width];
}

function flow(chart, width, look) {
  width = Math.max(width, 620);
  const role = {kept: look.colour("kept"), stage: look.colour("stage"), reason: look.colour("reason")};
  let sources = 0;
  const colours = chart.roles.map((one, node) => role[one] || colourOf(look, chart.nodes[node], sources++));
  const sum = chart.nodes.map((_, node) => Math.max(...[0, 1].map((end) => chart.links.reduce((all, link) => all + (link[end] === node ? link[2] : 0), 0))));
  const names = chart.nodes.map((name, node) => chart.roles[node] === "reason" ? name.slice(name.indexOf(": ") + 2) : name);
  const trace = {
    type: "sankey", arrangement: "fixed", domain: {x: [0, 1], y: [0, 1]},
    node: {
      label: names.map((name, node) => `${plain(short(name, 24))} ${number(sum[node])}`), color: colours, pad: 14, thickness: 14, line: {width: 0},
      customdata: chart.nodes.map((name, node) => `${plain(short(name, 60))}<br>${number(sum[node])} paragraphs`), hovertemplate: "%{customdata}<extra></extra>",
    },
    link: {
      source: chart.links.map((one) => one[0]), target: chart.links.map((one) => one[1]), value: chart.links.map((one) => one[2]),
      color: chart.links.map((one) => `${colours[one[0]]}55`),
      customdata: chart.links.map((one) => `${plain(short(chart.nodes[one[0]], 40))} → ${plain(short(chart.nodes[one[1]], 40))}<br>${number(one[2])} paragraphs`),
      hovertemplate: "%{customdata}<extra></extra>",
    },
  };
  const columns = ["source", "stage", "reason"].map((one) => chart.roles.filter((other) => other === one || (one === "reason" && other === "kept")).length);
  return [[trace], layout(look, Math.max(340, 32 * Math.max(...columns)), {margin: {l: 4, r: 4, t: 12, b: 12}}), width];
}

// Beside its colour a source has a dash of its own.
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
function lines(chart, width, look) {
  const names = [...new Set(chart.lines.map((line) => line.name))], sources = [...new Set(chart.lines.filter((line) => line.role === "source").map((line) => line.name))];
  const styles = {
    pale: {color: look.colour("line"), width: 1}, calm: {color: look.colour("quiet"), width: 2.5}, main: {color: look.colour("ink"), width: 2.5},
  };
  const traces = chart.lines.map((line, at) => {
    const place = sources.indexOf(line.name), first = chart.lines.findIndex((one) => one.name === line.name) === at;
    return {
      type: "scatter", mode: line.x.length < 40 && line.role !== "pale" ? "lines+markers" : "lines", name: plain(short(line.name, 40)), legendgroup: line.name, showlegend: first,
      x: line.x, y: line.y, line: styles[line.role] || {color: colourOf(look, line.name, place), width: 2, dash: DASHES[place % DASHES.length]},
      hoverinfo: "text", hovertext: line.y.map((value, point) => `${plain(short(line.name, 60))}<br>${plain(chart.axis)} ${number(line.x[point])}: ${value.toPrecision(4)}`),
    };
  });
  const legend = names.length > 1;
  const rows = legend ? Math.ceil(names.reduce((sum, name) => sum + Math.min(40, [...name].length) * 8 + 55, 0) / width) * 22 : 0;
  return [traces, layout(look, 340 + rows, {
    margin: {l: 8, r: 12, t: 8 + rows, b: 8, pad: 4}, showlegend: legend, hovermode: "closest",
    shapes: chart.marks.map(([x, text]) => ({type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: {color: look.colour("quiet"), width: 1, dash: text ? "solid" : "dot"}})),
    annotations: chart.marks.filter(([, text]) => text).map(([x, text]) => ({x, y: 1, yref: "paper", text: plain(text), showarrow: false, xanchor: "left", yanchor: "top", font: {color: look.colour("quiet")}})),
    xaxis: axis(look, {title: {text: plain(chart.axis), standoff: 8, font: {size: 13}}, showgrid: false, rangemode: "tozero"}),
    yaxis: axis(look, {title: {text: plain(chart.value), standoff: 8, font: {size: 13}}, tickformat: ",~r", ...(chart.within ? {range: chart.within} : {rangemode: "tozero"})}),
  }), width];
}

const DRAWERS = {bars, flow, lines};
const printed = () => root.classList.contains("printing");
const widthOf = (at) => printed() ? Math.min(660, at.closest(".charts") ? 320 : 660) : Math.max(220, at.clientWidth);

// Plotly is large: the browser takes it for text until the rest of the page is there to be read.
function wake() {
  if (window.Plotly) return;
  const script = element("script");
  script.textContent = $("plotly").textContent;
  document.head.append(script);
}
function plot(at, [traces, shape, width]) {
  wake();
  // The links of a flow that is drawn again fade in, which print does not wait for.
  if (traces.some((trace) => trace.type === "sankey")) Plotly.purge(at);
  Plotly.react(at, traces, {...shape, width}, {displayModeBar: false, responsive: false, doubleClick: false});
}
function draw(at) {
  const heat = at.closest(".heat");
  if (heat) drawHeat(heat);
  else { const chart = data.charts[at.dataset.chart]; plot(at, DRAWERS[chart.type](chart, widthOf(at), theme())); }
}

// The classes of a field in the order of the prompt; sources as they come.
function classesOf(labels, name, seen) {
  const field = labels.fields.find((one) => one.name === name);
  return field ? field.classes : [...new Set(seen)].sort();
}
function drawHeat(figure) {
  const labels = data.labels[figure.dataset.labels], look = theme();
  const [one, other] = ["one", "other"].map((name) => Number(figure.querySelector(`.${name}`).value));
  const dimensions = figure.dimensions, [left, right] = [dimensions[one], dimensions[other]];
  let cross = labels.crosses.find((cross) => cross[0] === left && cross[1] === right);
  let cells = cross ? cross[2] : (labels.crosses.find((cross) => cross[0] === right && cross[1] === left) || [0, 0, []])[2].map(([a, b, n]) => [b, a, n]);
  if (one === other) cells = [];
  const rows = classesOf(labels, left, cells.map((cell) => cell[0])), columns = classesOf(labels, right, cells.map((cell) => cell[1]));
  const count = new Map(cells.map(([a, b, n]) => [JSON.stringify([a, b]), n]));
  const counts = rows.map((a) => columns.map((b) => count.get(JSON.stringify([a, b])) || 0));
  const totals = counts.map((row) => row.reduce((sum, n) => sum + n, 0));
  const shares = counts.map((row, at) => row.map((n) => totals[at] ? n / totals[at] : 0));
  const at = figure.querySelector(".chart"), width = Math.max(widthOf(at), 90 + columns.length * 56);
  const trace = {
    type: "heatmap", z: shares, zmin: 0, zmax: Math.max(...shares.flat(), 0.01), x: columns.map((_, place) => place), y: rows.map((_, place) => place), xgap: 2, ygap: 2,
    text: counts.map((row) => row.map((n) => number(n))), texttemplate: "%{text}", hoverinfo: "text", showscale: false,
    colorscale: [[0, look.colour("cold")], [1, look.colour("hot")]],
    hovertext: counts.map((row, i) => row.map((n, j) => `${plain(rows[i])} × ${plain(columns[j])}<br>${number(n)} paragraphs<br>${number(shares[i][j] * 100, 1)} % of the row`)),
  };
  plot(at, [[trace], layout(look, 90 + 42 * rows.length, {
    xaxis: axis(look, {tickvals: trace.x, ticktext: columns.map((name) => plain(short(name, 16))), showgrid: false, side: "top", tickangle: width < columns.length * 110 ? -35 : 0}),
    yaxis: axis(look, {tickvals: trace.y, ticktext: rows.map((name) => plain(short(name, 18))), showgrid: false, autorange: "reversed"}),
  }), width]);
  const head = element("tr", {}, element("th", {scope: "col"}, `${left} × ${right}`), ...columns.map((name) => element("th", {scope: "col", class: "number"}, element("bdi", {}, name))));
  const body = rows.map((name, i) => element("tr", {}, element("th", {scope: "row"}, element("bdi", {}, name)), ...counts[i].map((n) => element("td", {}, number(n)))));
  figure.querySelector(".wide").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}
for (const figure of document.querySelectorAll(".heat")) {
  figure.dimensions = [...new Set(data.labels[figure.dataset.labels].crosses.flatMap((cross) => cross.slice(0, 2)))];
  figure.querySelector("figcaption").append(" (colour: share of the row)");
  ["one", "other"].forEach((name, chosen) => {
    const select = figure.querySelector(`.${name}`);
    figure.dimensions.forEach((dimension, place) => select.append(element("option", {value: place}, dimension)));
    select.selectedIndex = chosen;
    select.addEventListener("change", () => drawHeat(figure));
  });
}

const places = [...document.querySelectorAll(".chart")];
let waiting = [...places];
// One at a time, so that the page can be read meanwhile.
function drawNext() {
  if (waiting.length) { draw(waiting.shift()); setTimeout(drawNext); } else root.dataset.drawn = "all";
}
const drawAll = () => { waiting = []; places.forEach(draw); root.dataset.drawn = "all"; };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let before = innerWidth, resized;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => { if (innerWidth !== before && !printed()) { before = innerWidth; drawAll(); } }, 150);
});
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll(".row details:not([open])")];
  opened.forEach((one) => { one.open = true; });
  root.classList.add("printing");
  drawAll();
});
addEventListener("afterprint", () => {
  opened.forEach((one) => { one.open = false; });
  root.classList.remove("printing");
  drawAll();
});
addEventListener("load", () => setTimeout(drawNext));
