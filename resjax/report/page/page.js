const read = (id) => JSON.parse(document.getElementById(id).textContent);
const [specs, themes, networks] = ["specs", "themes", "networks"].map(read);
const KEYS = ["arm", "depth", "panel"]; // of a row, in a figure or in a table; null where it says nothing of it
const FILTERS = ["arm", "depth", "norm", "settings", "sweep"];
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const places = Object.keys(specs).map((name) => document.getElementById(name));
const drawn = {};
let paper = false;
let busy = false;

// ---- Which networks are shown

const values = (network, filter) => [network[filter]].flat().map(String);
const choices = (filter) => [...new Set(networks.flatMap((network) => values(network, filter)))];
const chosen = Object.fromEntries(FILTERS.map((filter) => [filter, new Set(choices(filter))]));
const spoken = KEYS.map((name) => new Set(networks.map((network) => String(network[name]))));
let shown = networks;
let known = new Map(); // whether rows with such keys are shown
let version = 0;

// A word that no network has in its place, such as a panel of another kind, says nothing of them.
function isShown(row) {
  const keys = KEYS.map((name, i) => (spoken[i].has(String(row[name])) ? String(row[name]) : null));
  const spelled = JSON.stringify(keys);
  if (!known.has(spelled)) {
    const same = (network) => KEYS.every((name, i) => keys[i] === null || keys[i] === String(network[name]));
    known.set(spelled, keys.every((key) => key === null) || shown.some(same));
  }
  return known.get(spelled);
}

// The first click on a choice leaves it alone, the next ones add and take away; without any, all are back.
function choose(filter, choice) {
  const all = choices(filter);
  const now = chosen[filter];
  if (now.size === all.length) chosen[filter] = new Set([choice]);
  else if (!now.delete(choice)) now.add(choice);
  if (!chosen[filter].size) chosen[filter] = new Set(all);
  filterAll();
}

function filterAll() {
  shown = networks.filter((network) =>
    FILTERS.every((filter) => values(network, filter).some((value) => chosen[filter].has(value))),
  );
  known = new Map();
  version += 1;
  document.querySelectorAll("tr[data-arm], details[data-arm]").forEach((element) => {
    const { arm, depth, panel, besideArm, besideDepth, besidePanel } = element.dataset;
    const other = { arm: besideArm, depth: besideDepth, panel: besidePanel };
    element.hidden = !isShown({ arm, depth, panel }) || !isShown(other);
  });
  showFilters();
  work();
}

function made(name, text, attributes = {}) {
  const element = Object.assign(document.createElement(name), { textContent: text });
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  return element;
}

// A button for each choice, where there is one to make.
function buildFilters() {
  const rows = FILTERS.filter((filter) => choices(filter).length > 1).map((filter) => {
    const buttons = choices(filter).map((choice) => {
      const button = made("button", choice || "the usual", { type: "button", title: choice, "data-choice": choice });
      button.dataset.filter = filter;
      button.addEventListener("click", () => choose(filter, choice));
      return button;
    });
    const row = made("div", "");
    row.append(made("span", filter), ...buttons);
    return row;
  });
  const about = "in figures and tables of networks; the lab's by arm and depth alone";
  if (rows.length) {
    const told = made("span", "", { id: "shown", title: about, "aria-live": "polite" });
    document.getElementById("filters").replaceChildren(...rows, told);
    showFilters();
  }
}

function showFilters() {
  document.querySelectorAll("#filters button").forEach((button) => {
    button.setAttribute("aria-pressed", chosen[button.dataset.filter].has(button.dataset.choice));
  });
  document.getElementById("shown").textContent = `${shown.length} of ${networks.length} networks`;
}

// ---- Figures

const theme = () => {
  const wanted = document.getElementById("theme").querySelector("select").value;
  if (paper) return "light";
  return wanted === "auto" ? (prefersDark.matches ? "dark" : "light") : wanted;
};
const state = () => `${theme()} ${version}`;
const waiting = () => places.filter((place) => place.dataset.state !== state());

// The specification with the rows that are shown; null where there are none.
function filtered(spec) {
  if (shown === networks) return spec;
  const rows = spec.datasets.rows.filter(isShown);
  const panels = new Set(shown.map((network) => network.panel));
  const all = new Set(networks.map((network) => network.panel));
  const vconcat = spec.vconcat?.filter((part) => !all.has(part.title) || panels.has(part.title));
  if (!rows.length || vconcat?.length === 0) return null;
  const whole = { ...spec, datasets: { rows: [...rows, ...emptied(spec, rows)] } };
  return vconcat ? { ...whole, vconcat } : whole;
}

// An empty row for each panel of a grid that has lost its rows: Vega would move the panels behind it.
function emptied(spec, rows) {
  const { grid = [], empty = {} } = spec.usermeta ?? {};
  if (!grid.length) return [];
  const [row, column] = grid.slice(-2);
  const within = grid.slice(0, -2);
  const key = (names) => (one) => JSON.stringify(names.map((name) => one[name]));
  const [byRow, byColumn, byCell] = [[...within, row], [...within, column], grid].map(key);
  const there = [byRow, byColumn, byCell].map((by) => new Set(rows.map(by)));
  const missing = new Map();
  for (const one of spec.datasets.rows) {
    const wanted = there[0].has(byRow(one)) && there[1].has(byColumn(one)) && !there[2].has(byCell(one));
    if (wanted) missing.set(byCell(one), { ...Object.fromEntries(grid.map((name) => [name, one[name]])), ...empty });
  }
  return [...missing.values()];
}

async function draw(place) {
  const [name, wanted] = [place.id, state()];
  const spec = filtered(specs[name]);
  try {
    drawn[name]?.finalize();
    delete drawn[name];
    if (spec) {
      drawn[name] = await vegaEmbed(place, spec, {
        config: themes[theme()],
        tooltip: { theme: theme() },
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: name,
      });
    } else place.textContent = "Nothing of this figure is left by the filters.";
  } catch (error) {
    place.textContent = "This figure could not be drawn: " + error.message;
  }
  place.dataset.state = wanted;
}

// Pixels between a figure's place and what is in view.
function distance(place) {
  const box = place.getBoundingClientRect();
  return Math.max(box.top - window.innerHeight, -box.bottom, 0);
}

// One after another, the nearest first. One can take half a second: a pause lets the page paint, scroll and answer.
async function work() {
  if (busy) return;
  busy = true;
  while (waiting().length) {
    await new Promise((next) => setTimeout(next, 20));
    const [nearest] = waiting().sort((a, b) => distance(a) - distance(b));
    if (nearest) await draw(nearest);
  }
  busy = false;
}

// Paper is white, and does not wait.
function beforePrint() {
  paper = true;
  waiting().forEach(draw);
}

function afterPrint() {
  paper = false;
  work();
}

// ---- Tables: a click on a heading sorts by its column

const NUMBER = /^[<=\u00d7([\s]*([\u2212+-]?[\d.,]+(?:e[+-]?\d+)?)/; // with which a cell begins

function sort(heading) {
  const body = heading.closest("table").tBodies[0];
  const place = heading.cellIndex;
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const words = (row) => row.cells[place].textContent;
  const number = (row) => parseFloat((NUMBER.exec(words(row))?.[1] ?? "").replaceAll(",", "").replace("\u2212", "-"));
  const order = (a, b) => {
    const [one, other] = [number(a), number(b)];
    const known = Number.isNaN(one) - Number.isNaN(other); // what is no number comes last
    if (known) return up ? known : -known;
    return Number.isNaN(one) ? words(a).localeCompare(words(b), undefined, { numeric: true }) : one - other;
  };
  const rows = [...body.rows].sort(order);
  body.append(...(up ? rows : rows.reverse()));
  heading.closest("tr").querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
}

document.querySelectorAll("th").forEach((heading) => {
  heading.tabIndex = 0;
  heading.addEventListener("click", () => sort(heading));
  heading.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    sort(heading);
  });
});
document.getElementById("theme").addEventListener("change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
  work();
});
prefersDark.addEventListener("change", work);
window.addEventListener("beforeprint", beforePrint);
window.addEventListener("afterprint", afterPrint);
buildFilters();
work();
