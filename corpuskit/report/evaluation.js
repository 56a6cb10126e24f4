// --- Charts of systems: figures with intervals, ranks, costs, what is taken for what.

const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "star", "hexagon"];
const symbolOf = (name) => SYMBOLS[Math.max(0, data.sources.indexOf(name)) % SYMBOLS.length];
const titled = (text) => ({text: plain(text), standoff: 8, font: {size: 13}});
const within = (told) => { const low = Math.min(...told), high = Math.max(...told), room = Math.max(0.06 * (high - low), 0.5); return [low - room, high + room]; };
const bounds = (value, low, high) => low === null ? "" : ` [${low.toFixed(2)}, ${high.toFixed(2)}]`;

DRAWERS.dots = (chart, width, look) => {
  const room = Math.max(10, Math.floor(width / 22)), places = chart.rows.map((_, place) => place);
  const seeds = (row) => row[4].length > 1 ? row[4] : [];
  const single = {
    type: "scatter", mode: "markers", x: chart.rows.flatMap(seeds), y: chart.rows.flatMap((row, place) => seeds(row).map(() => place)),
    marker: {size: 7, color: look.colour("surface"), line: {width: 1.5, color: look.colour("quiet")}}, hoverinfo: "text",
    hovertext: chart.rows.flatMap((row) => seeds(row).map((value) => `${plain(short(row[0], 60))}<br>a seed: ${value.toFixed(2)}`)),
  };
  const means = chart.rows.map(([name, value, low, high], place) => ({
    type: "scatter", mode: "markers", x: [value], y: [place], marker: {size: 13, symbol: symbolOf(name), color: colourOf(look, name, place)},
    error_x: low === null ? {visible: false} : {type: "data", symmetric: false, array: [high - value], arrayminus: [value - low], color: colourOf(look, name, place), thickness: 2.5, width: 6},
    hoverinfo: "text", hovertext: [`${plain(short(name, 60))}<br>${value.toFixed(2)}${bounds(value, low, high)}`],
  }));
  const all = chart.rows.flatMap((row) => [row[1], ...row.slice(2, 4), ...row[4]].filter((one) => one !== null));
  return [[...means, single], layout(look, 90 + 44 * places.length, {
    showlegend: false, hovermode: "closest",
    xaxis: axis(look, {title: titled(chart.value), range: within(all), nticks: Math.max(3, Math.floor(width / 90))}),
    yaxis: axis(look, {tickvals: places, ticktext: chart.rows.map((row) => plain(short(row[0], room))), range: [places.length - 0.5, -0.5], showgrid: false}),
  }), width];
};

DRAWERS.ranks = (chart, width, look) => {
  const names = Object.keys(chart.ranks), places = chart.rules.map((_, place) => place), most = Math.max(...names.flatMap((name) => chart.ranks[name]));
  const traces = names.map((name, place) => ({
    type: "scatter", mode: "lines+markers", name: plain(short(name, 40)), x: places, y: chart.ranks[name],
    line: {color: colourOf(look, name, place), width: 2, dash: DASHES[Math.max(0, data.sources.indexOf(name)) % DASHES.length]},
    marker: {size: 10, symbol: symbolOf(name), color: colourOf(look, name, place)}, hoverinfo: "text",
    hovertext: chart.rules.map((rule, at) => `${plain(short(name, 60))}<br>${plain(rule)}: rank ${chart.ranks[name][at]}`),
  }));
  const rows = Math.ceil(names.reduce((sum, name) => sum + Math.min(40, [...name].length) * 8 + 55, 0) / width) * 22;
  return [traces, layout(look, 170 + 34 * most + rows, {
    margin: {l: 8, r: 12, t: 8 + rows, b: 8, pad: 4}, showlegend: true, hovermode: "closest",
    xaxis: axis(look, {tickvals: places, ticktext: chart.rules.map(plain), tickangle: -50, showgrid: false, range: [-0.3, places.length - 0.7]}),
    yaxis: axis(look, {title: titled("rank"), dtick: 1, range: [most + 0.5, 0.5]}),
  }), width];
};

DRAWERS.scatter = (chart, width, look) => {
  const traces = chart.points.map(([name, x, y, low, high], place) => ({
    type: "scatter", mode: "markers", name: plain(short(name, 40)), x: [x], y: [y],
    marker: {size: 13, symbol: symbolOf(name), color: colourOf(look, name, place)},
    error_y: low === null ? {visible: false} : {type: "data", symmetric: false, array: [high - y], arrayminus: [y - low], color: colourOf(look, name, place), width: 5},
    hoverinfo: "text", hovertext: [`${plain(short(name, 60))}<br>${plain(chart.axis)}: ${Number(x.toPrecision(3)).toLocaleString("en")}<br>${y.toFixed(2)}${bounds(y, low, high)}`],
  }));
  const logs = chart.points.map((point) => Math.log10(point[1])), apart = Math.max(...logs) - Math.min(...logs), room = Math.max(0.3, apart * 0.12);
  // 1, 2 and 5 of every power of ten, or the powers alone where there are many.
  const range = [Math.min(...logs) - room, Math.max(...logs) + room], powers = Array.from({length: 40}, (_, place) => place - 20);
  const ticks = powers.flatMap((power) => (apart > 1.5 ? [1] : [1, 2, 5]).map((digit) => digit * 10 ** power)).filter((one) => Math.log10(one) >= range[0] && Math.log10(one) <= range[1]);
  const rows = Math.ceil(chart.points.reduce((sum, point) => sum + Math.min(40, [...point[0]].length) * 8 + 55, 0) / width) * 22;
  return [traces, layout(look, 300 + rows, {
    margin: {l: 8, r: 12, t: 8 + rows, b: 8, pad: 4}, showlegend: true, hovermode: "closest",
    xaxis: axis(look, {type: "log", title: titled(chart.axis), range, tickvals: ticks, ticktext: ticks.map((one) => Number(one.toPrecision(3)).toLocaleString("en", {maximumFractionDigits: 9}))}),
    yaxis: axis(look, {title: titled(chart.value), range: within(chart.points.flatMap((point) => point.slice(2).filter((one) => one !== null)))}),
  }), width];
};

const MISSED = "(missed)", SPURIOUS = "(in no gold)", MANY = 40;
function confused() {
  const {task, runs} = chosen(), sums = new Map();
  for (const run of runs) for (const [gold, said, count] of run.confusion) sums.set(`${gold} ${said}`, (sums.get(`${gold} ${said}`) || 0) + count);
  const used = (side) => task.labels.map((_, place) => place).filter((place) => [...sums.keys()].some((key) => Number(key.split(" ")[side]) === place));
  const both = [...new Set([...used(0), ...used(1)])].sort((one, other) => one - other);
  const without = (side) => [...sums.keys()].some((key) => Number(key.split(" ")[side]) === -1) ? [-1] : [];
  const rows = [...both, ...without(0)], columns = [...both, ...without(1)];
  const name = (place, none) => place < 0 ? none : task.labels[place];
  return {
    rows: rows.map((place) => name(place, SPURIOUS)), columns: columns.map((place) => name(place, MISSED)),
    counts: rows.map((gold) => columns.map((said) => gold < 0 && said < 0 ? null : (sums.get(`${gold} ${said}`) || 0) / runs.length)),
  };
}
const counted = (n) => n === null ? "" : number(n, Number.isInteger(n) ? 0 : 1);
DRAWERS.confusion = (chart, width, look) => {
  let {rows, columns, counts} = confused();
  const note = rows.length > MANY + 1;
  if (note) [rows, columns, counts] = [rows.slice(0, MANY), columns.slice(0, MANY), counts.slice(0, MANY).map((row) => row.slice(0, MANY))];
  $("confusion-note").textContent = `${chosen().runs[0].system}, ${chosen().runs.length > 1 ? "mean over the seeds" : `seed ${chosen().runs[0].seed}`}. Rows: gold; columns: what was said. ${note ? `The first ${MANY} labels; all of them in the table.` : ""}`;
  const totals = counts.map((row) => row.reduce((sum, n) => sum + (n || 0), 0)), shares = counts.map((row, at) => row.map((n) => n === null ? null : totals[at] ? n / totals[at] : 0));
  width = Math.max(width, 130 + columns.length * 48);
  const trace = {
    type: "heatmap", z: shares, zmin: 0, zmax: 1, x: columns.map((_, place) => place), y: rows.map((_, place) => place), xgap: 2, ygap: 2,
    text: counts.map((row) => row.map((n) => n ? counted(n) : "")), texttemplate: "%{text}", hoverinfo: "text", showscale: false, hoverongaps: false,
    colorscale: [[0, look.colour("cold")], [1, look.colour("hot")]],
    hovertext: counts.map((row, i) => row.map((n, j) => n === null ? "" : `gold ${plain(rows[i])}<br>said ${plain(columns[j])}<br>${counted(n)}, ${number(shares[i][j] * 100, 1)} % of the row`)),
  };
  return [[trace], layout(look, 110 + 30 * rows.length, {
    xaxis: axis(look, {tickvals: trace.x, ticktext: columns.map((name) => plain(short(name, 16))), showgrid: false, side: "top", tickangle: width < columns.length * 110 ? -45 : 0}),
    yaxis: axis(look, {tickvals: trace.y, ticktext: rows.map((name) => plain(short(name, 18))), showgrid: false, autorange: "reversed"}),
  }), width];
};
function tabulate() {
  const {rows, columns, counts} = confused();
  const head = element("tr", {}, element("th", {scope: "col"}, "gold × said"), ...columns.map((name) => element("th", {scope: "col", class: "number"}, element("bdi", {}, name))));
  const body = rows.map((name, i) => element("tr", {}, element("th", {scope: "row"}, element("bdi", {}, name)), ...counts[i].map((n) => element("td", {}, counted(n)))));
  $("confused").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

// --- The browser of errors.

const PAGE = 10, ALL = "all", ERROR = "error";
const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const form = $("browser"), control = (name) => form.elements[name];
const TOLD = {right: "right", boundary: "boundary", label: "label", both: "boundary and label", missed: "missed", spurious: "spurious"};
let page = 0, found = [];

const options = (name, pairs) => control(name).replaceChildren(...pairs.map(([value, text]) => element("option", {value}, text)));
// The task, the runs that are counted, and the place of the run that is read.
function chosen() {
  const task = data.tasks[Number(control("task").value) || 0], system = control("system").value, seed = control("seed").value;
  const of = task.runs.map((run, place) => place).filter((place) => task.runs[place].system === system);
  const one = of.filter((place) => seed === ALL || String(task.runs[place].seed) === seed);
  return {task, runs: one.map((place) => task.runs[place]), read: one[0]};
}
function taskChosen() {
  const task = data.tasks[Number(control("task").value) || 0];
  options("system", [...new Set(task.runs.map((run) => run.system))].map((name) => [name, name]));
  options("label", [[ALL, "any"], ...task.labels.map((name, place) => [place, name])]);
  const kinds = data.kinds.filter((kind) => task.kind === "spans" || !["boundary", "both"].includes(kind));
  options("kind", [[ERROR, "any error"], [ALL, "any, right ones too"], ...kinds.map((kind) => [kind, TOLD[kind]])]);
  $("legend").replaceChildren(...kinds.map((kind) => element("li", {}, element("span", {class: `entity ${kind}`}, TOLD[kind]))));
  systemChosen();
}
function systemChosen() {
  const task = data.tasks[Number(control("task").value) || 0], runs = task.runs.filter((run) => run.system === control("system").value);
  options("seed", [...(runs.length > 1 ? [[ALL, "all (documents: the first)"]] : []), ...runs.map((run) => [run.seed, run.seed])]);
  runChosen();
}
function runChosen() {
  tabulate();
  if (root.dataset.drawn) draw(document.querySelector("[data-chart=confusion]"));
  select();
}
// Whether a pair is one of those that are looked for.
function wanted() {
  const kind = control("kind").value, label = control("label").value;
  return ([at, gold, said]) => {
    const name = data.kinds[at];
    return (kind === ALL || (kind === ERROR ? name !== "right" : name === kind)) && (label === ALL || gold === Number(label) || said === Number(label));
  };
}
function select() {
  const {task, read} = chosen(), test = wanted(), words = fold($("search").value).split(/\s+/).filter(Boolean);
  found = task.documents.filter((one) => one.runs[read].pairs.some(test) && words.every((word) => (one.folded ??= fold(`${one.id}\n${one.text}`)).includes(word)));
  page = 0;
  show();
}

// A text with its entities, those inside others inside them; what crosses another is cut in two.
function marked(letters, from, to, entities, focus) {
  const made = document.createDocumentFragment(), stack = [{end: Infinity, node: made}];
  const pieces = entities.flatMap((one) => one.spans.map(([start, end], place) => ({...one, start: Math.max(start, from), end: Math.min(end, to), last: place === one.spans.length - 1}))).filter((one) => one.start < one.end);
  const cuts = new Set([from, to]);
  for (const one of pieces) { cuts.add(one.start); cuts.add(one.end); }
  if (focus) for (const place of focus) if (place > from && place < to) cuts.add(place);
  const places = [...cuts].sort((one, other) => one - other), open = [];
  const depth = (one) => pieces.filter((other) => other !== one && other.start >= one.start && other.end <= one.end && (other.end - other.start < one.end - one.start || pieces.indexOf(other) > pieces.indexOf(one))).length;
  const enter = (one) => {
    const node = element("span", {class: `entity ${one.kind}`, title: `${one.label}: ${TOLD[one.kind]}`, style: `padding-bottom: ${Math.min(4, depth(one)) * 5 + 1}px`});
    stack.at(-1).node.append(node);
    stack.push({one, end: one.end, node});
  };
  places.forEach((at, step) => {
    const again = [];
    while (stack.some((level) => level.end === at)) {
      const level = stack.pop();
      if (level.end === at) { if (level.one.last) level.node.append(element("small", {}, element("bdi", {}, level.one.label))); } else again.unshift(level.one);
    }
    again.forEach(enter);
    pieces.filter((one) => one.start === at).sort((one, other) => other.end - one.end).forEach(enter);
    if (step + 1 < places.length) {
      const text = letters.slice(at, places[step + 1]).join("");
      stack.at(-1).node.append(focus && at >= focus[0] && at < focus[1] ? element("mark", {}, text) : text);
    }
  });
  return made;
}
function lines(letters) {
  const found = [];
  let start = 0;
  letters.forEach((letter, place) => { if (letter === "\n") { found.push([start, place]); start = place + 1; } });
  return [...found, [start, letters.length]];
}
function panes(task, one, pairs, test) {
  const letters = one.letters ??= [...one.text], said = ([, , , gold, spans]) => spans === 0 ? gold : spans;
  const entity = (pair, label, spans) => ({kind: data.kinds[pair[0]], label: task.labels[label], spans});
  const sides = [
    ["gold", pairs.filter((pair) => pair[1] >= 0).map((pair) => entity(pair, pair[1], pair[3]))],
    ["said", pairs.filter((pair) => pair[2] >= 0).map((pair) => entity(pair, pair[2], said(pair)))],
  ];
  const looked = pairs.filter(test).flatMap((pair) => [...pair[3], ...said(pair)]);
  const excerpts = control("excerpts").checked && task.kind === "spans";
  const kept = lines(letters).map(([start, end]) => [start, end, !excerpts || looked.some(([from, to]) => from < end && to > start)]);
  const filled = ([name, entities]) => {
    const text = element("p", {class: "text", dir: "auto"});
    let left = false;
    for (const [start, end, keep] of kept) {
      if (keep) { if (left) text.append("[…]\n"); text.append(marked(letters, start, end, entities, one.focus), "\n"); }
      left = !keep && (left || start < end);
    }
    if (left) text.append("[…]");
    return element("div", {}, element("h4", {}, name), text);
  };
  return element("div", {class: "panes"}, ...sides.map(filled));
}
function answers(task, one, pairs) {
  const label = (place) => element("bdi", {}, task.labels[place]), list = element("ul", {class: "chips", "aria-label": "Gold and answers"});
  const wording = new Map(one.choices);
  if (one.choices.length) {
    for (const [name, words] of one.choices) {
      const [right, said] = [1, 2].map((side) => pairs.some((pair) => pair[side] >= 0 && task.labels[pair[side]] === name));
      const kind = right && said ? "right" : right ? "missed" : said ? "spurious" : "";
      list.append(element("li", {}, element("span", {class: kind && `entity ${kind}`}, element("bdi", {}, `${name}: ${words}`)), right && said ? " – gold and said" : right ? " – gold" : said ? " – said" : ""));
    }
  } else for (const pair of pairs) {
    const kind = data.kinds[pair[0]], item = element("li", {}, element("span", {class: `entity ${kind}`}, TOLD[kind]), " ");
    if (kind === "label") item.append("gold ", label(pair[1]), ", said ", label(pair[2])); else item.append(label(pair[1] >= 0 ? pair[1] : pair[2]));
    list.append(item);
  }
  const letters = one.letters ??= [...one.text], text = element("p", {class: "text", dir: "auto"}, marked(letters, 0, letters.length, [], one.focus));
  return element("div", {}, text, list);
}
function shown(one) {
  const {task, read} = chosen(), {pairs, problem} = one.runs[read], test = wanted(), counts = new Map();
  for (const pair of pairs) counts.set(pair[0], (counts.get(pair[0]) || 0) + 1);
  const line = element("p", {class: "quiet"}, [...counts].sort((a, b) => a[0] - b[0]).map(([kind, count]) => `${TOLD[data.kinds[kind]]} ${number(count)}`).join(" · "));
  const made = element("article", {class: "row"}, element("h3", {}, element("bdi", {}, one.id)), line);
  if (problem) made.append(element("p", {class: "why"}, "Not a whole answer: ", element("bdi", {}, problem)));
  made.append(task.kind === "spans" ? panes(task, one, pairs, test) : answers(task, one, pairs));
  if (one.cut) made.append(element("p", {class: "quiet"}, `${number(one.cut)} more characters are not on this page.`));
  return made;
}
function show() {
  const {task, read} = chosen(), first = page * PAGE, some = found.slice(first, first + PAGE), pages = Math.ceil(found.length / PAGE);
  const of = task.documents.length < task.of ? ` on this page, chosen for their errors from ${number(task.of)}; the counts above are of all` : "";
  const whose = `Seed ${task.runs[read].seed} of ${task.runs[read].system}: `;
  $("found").textContent = `${whose}${found.length ? `${number(first + 1)}–${number(first + some.length)} of ${number(found.length)} found among ${number(task.documents.length)} documents` : `nothing found among ${number(task.documents.length)} documents`}${of}`;
  $("rows").replaceChildren(...some.map(shown));
  $("page").textContent = pages > 1 ? `Page ${number(page + 1)} of ${number(pages)}` : "";
  $("previous").disabled = page === 0;
  $("next").disabled = page + 1 >= pages;
}
function turn(step) {
  page += step;
  show();
  $("found").scrollIntoView();
}
form.addEventListener("submit", (event) => event.preventDefault());
const section = $("errors");
section.addEventListener("input", (event) => { if (event.target.matches("[type=search]")) select(); });
section.addEventListener("change", (event) => {
  const changed = {task: taskChosen, system: systemChosen, seed: runChosen, kind: select, label: select, excerpts: show}[event.target.name];
  if (changed) changed();
});
form.addEventListener("reset", () => setTimeout(taskChosen));
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
options("task", data.tasks.map((task, place) => [place, task.name]));
taskChosen();
