const specs = JSON.parse(document.getElementById("specs").textContent);
const themes = JSON.parse(document.getElementById("themes").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = {};
let turn = 0;

// One after another: a page of many panels stays usable while it draws. A change of theme starts over.
async function draw() {
  const mine = ++turn;
  for (const [name, spec] of Object.entries(specs)) {
    const place = document.getElementById(name);
    try {
      const made = await vegaEmbed(place, spec, {
        config: themes[dark.matches ? "dark" : "light"],
        tooltip: { theme: dark.matches ? "dark" : "light" },
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: name,
      });
      if (mine !== turn) { made.finalize(); return; }
      if (drawn[name]) drawn[name].finalize();
      drawn[name] = made;
    } catch (error) {
      place.textContent = "This figure could not be drawn: " + error.message;
    }
  }
}

dark.addEventListener("change", draw);
draw();
