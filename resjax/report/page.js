const specs = JSON.parse(document.getElementById("specs").textContent);
const themes = JSON.parse(document.getElementById("themes").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const places = Object.keys(specs).map((name) => document.getElementById(name));
const drawn = {};
let paper = false;
let busy = false;

const theme = () => (dark.matches && !paper ? "dark" : "light");
const waiting = () => places.filter((place) => place.dataset.theme !== theme());

async function draw(place) {
  const [name, wanted] = [place.id, theme()];
  try {
    const made = await vegaEmbed(place, specs[name], {
      config: themes[wanted],
      tooltip: { theme: wanted },
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: name,
    });
    if (drawn[name]) drawn[name].finalize();
    drawn[name] = made;
  } catch (error) {
    place.textContent = "This figure could not be drawn: " + error.message;
  }
  place.dataset.theme = wanted;
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

dark.addEventListener("change", work);
window.addEventListener("beforeprint", beforePrint);
window.addEventListener("afterprint", afterPrint);
work();
