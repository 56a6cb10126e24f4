// --- The browser of paragraphs.

const PAGE = 20;
const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const ANY = "any", NONE = "none";
const column = (name) => ({name, title: name, of: (row) => row[name]});
const answered = data.labels.flatMap((labels, set) => labels.fields.map((field) => {
  const said = (row) => row.labels[set] && row.labels[set][field.name];
  const title = data.labels.length > 1 ? `${field.name} (${labels.name})` : field.name;
  const value = (row) => { const one = said(row); return one ? one.value : null; };
  const name = `${set}-${field.name}`;
  if (field.type === "score") return {name, title, range: true, of: (row) => { const one = said(row); return one ? one.expected ?? one.value : null; }};
  return field.type === "spans" ? {name, title: `${title}, density`, range: true, of: value} : {name, title, of: value};
}));
const SIDES = {
  kept: {filters: [...["source", "kind", "language", "licence"].map(column), ...answered], rows: data.kept},
  dropped: {filters: ["unit", "source", "stage", "reason", "kind", "language"].map(column), rows: data.dropped},
};
let side = SIDES.kept, page = 0, found = [];

function controls() {
  $("filters").replaceChildren(...side.filters.map((filter) => {
    if (filter.range) {
      const input = (which) => element("input", {type: "number", step: "any", name: `${filter.name}-${which}`, placeholder: which, "aria-label": `${filter.title}, ${which}`});
      return element("label", {}, filter.title, element("span", {class: "range"}, input("from"), "–", input("to")));
    }
    const counts = new Map();
    for (const row of side.rows) { const value = filter.of(row) ?? null; counts.set(value, (counts.get(value) || 0) + 1); }
    const options = [...counts].sort((one, other) => other[1] - one[1] || String(one[0]).localeCompare(String(other[0])));
    const select = element("select", {name: filter.name}, element("option", {value: ANY}, "any"));
    filter.values = options.map(([value]) => value);
    options.forEach(([value, count], place) => select.append(element("option", {value: place}, `${value === null ? "–" : short(value, 60)} (${number(count)})`)));
    return element("label", {}, filter.title, select);
  }));
}

const haystack = (row) => row.haystack ??= fold([row.text, row.title, row.section, row.id, row.file, row.journal, row.detail].filter(Boolean).join("\n"));
function select() {
  const form = $("browser"), words = fold($("search").value).split(/\s+/).filter(Boolean), tests = [];
  for (const filter of side.filters) {
    if (filter.range) {
      const [from, to] = ["from", "to"].map((which) => form.elements[`${filter.name}-${which}`].value);
      if (from !== "") tests.push((row) => filter.of(row) !== null && filter.of(row) >= Number(from));
      if (to !== "") tests.push((row) => filter.of(row) !== null && filter.of(row) <= Number(to));
    } else if (form.elements[filter.name].value !== ANY) {
      const wanted = filter.values[Number(form.elements[filter.name].value)];
      tests.push((row) => (filter.of(row) ?? null) === wanted);
    }
  }
  if (words.length) tests.push((row) => words.every((word) => haystack(row).includes(word)));
  found = side.rows.filter((row) => tests.every((test) => test(row)));
  page = 0;
  show();
}

function link(url) {
  let safe = null;
  try { safe = new URL(url); } catch { /* no URL: shown as it stands */ }
  const usable = safe && ["http:", "https:"].includes(safe.protocol);
  return usable ? element("a", {href: safe.href, rel: "noopener noreferrer", target: "_blank"}, url) : url;
}
function shown(row) {
  const kept = side === SIDES.kept;
  const title = element("h3", {}, element("bdi", {dir: "auto"}, (kept ? row.title : "") || row.article_id || row.id || ""));
  const about = [row.source, kept ? "" : row.unit, row.kind, row.section, row.year, row.language, row.words === null ? "" : `${number(row.words)} words`].filter(Boolean);
  const line = element("p", {class: "quiet"});
  about.forEach((one, place) => line.append(place ? " · " : "", element("bdi", {}, String(one))));
  const text = element("p", {class: "text", dir: "auto"}, row.text || "");
  if (/^[a-z]{2,3}$/.test(row.language || "")) text.lang = row.language;
  const made = element("article", {class: "row"}, title, line);
  if (!kept) made.append(element("p", {class: "why"}, "Dropped by ", element("bdi", {}, `${row.stage}: ${row.reason}`), row.detail ? " – " : "", element("bdi", {}, row.detail || "")));
  made.append(text);
  const chips = kept ? answeredChips(row) : [];
  if (chips.length) made.append(element("ul", {class: "chips", "aria-label": "Annotations"}, ...chips));
  const told = [["paragraph", row.id], ["article", row.article_id], ["section", row.section], ["path", row.path], ["file", row.file], ["journal", row.journal],
    ["licence", kept ? row.licence || "not stated" : null], ["url", row.url], ["OCR noise", typeof row.ocr_noise === "number" ? number(row.ocr_noise, 3) : null],
    ["near-duplicates", row.cluster_size > 1 ? `stands for ${number(row.cluster_size)} paragraphs` : null]];
  const list = element("dl");
  for (const [name, value] of told) if (value) list.append(element("dt", {}, name), element("dd", {}, element("bdi", {}, name === "url" ? link(value) : String(value))));
  made.append(element("details", {}, element("summary", {}, "Where it comes from"), list));
  return made;
}
function answeredChips(row) {
  return data.labels.flatMap((labels, set) => {
    const said = row.labels[set], whose = data.labels.length > 1 ? `${labels.name}: ` : "";
    if (!said) return [];
    if (said.outcome !== "ok") return [element("li", {}, `${whose}${said.outcome}`)];
    return labels.fields.filter((field) => said[field.name].value !== null).map((field) => {
      const {value, expected, entropy} = said[field.name];
      const soft = [field.type === "score" && expected !== null ? `expected ${number(expected, 2)}` : "", entropy !== null ? `${number(entropy, 2)} bits` : ""].filter(Boolean);
      return element("li", {}, `${whose}${field.name}: `, element("bdi", {}, field.type === "spans" ? `density ${number(value, 2)}` : String(value)), soft.length ? ` (${soft.join(", ")})` : "");
    });
  });
}
function show() {
  const first = page * PAGE, some = found.slice(first, first + PAGE), pages = Math.ceil(found.length / PAGE);
  $("found").textContent = found.length ? `${number(first + 1)}–${number(first + some.length)} of ${number(found.length)} found among ${number(side.rows.length)}` : `Nothing found among ${number(side.rows.length)}`;
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
function change() {
  side = SIDES[$("browser").elements.side.value];
  controls();
  select();
}
$("browser").addEventListener("submit", (event) => event.preventDefault());
// What is typed tells by the letter; leaving the field must not turn the page back.
$("browser").addEventListener("input", (event) => { if (event.target.matches("[type=search], [type=number]")) select(); });
$("browser").addEventListener("change", (event) => { if (event.target.name === "side") change(); else if (event.target.matches("select")) select(); });
$("browser").addEventListener("reset", () => setTimeout(change));
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
change();
