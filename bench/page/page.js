"use strict";
(() => {
  const { config, cells, figures } = JSON.parse(document.getElementById("data").textContent);
  const boxes = [...document.querySelectorAll("[data-filter]")];
  const rows = [...document.querySelectorAll("tr[data-cells]")].map((row) => [row, JSON.parse(row.dataset.cells)]);
  const views = [];

  function shownCells() {
    const chosen = { backend: new Set(), device: new Set(), loop: new Set([""]) };
    for (const box of boxes) if (box.checked) chosen[box.dataset.filter].add(box.value);
    return Object.keys(cells).filter((name) => {
      const [backend, device, loop] = cells[name];
      return chosen.backend.has(backend) && chosen.device.has(device) && chosen.loop.has(loop);
    });
  }

  // A row is about all its cells; the oracle is no cell and never hides one.
  function filter() {
    const shown = shownCells();
    const left = new Set(shown);
    for (const [row, names] of rows) row.hidden = names.some((name) => name in cells && !left.has(name));
    for (const view of views) view.signal("shown", shown).runAsync();
    const output = document.querySelector(".filters output");
    if (output) output.textContent = `${shown.length} of ${Object.keys(cells).length} cells`;
  }

  async function draw(key) {
    const place = document.getElementById(key);
    try {
      const { view } = await vegaEmbed(place, figures[key], {
        config, renderer: "svg", actions: false, tooltip: { disableDefaultStyle: true },
      });
      // The plot's own text alternative is the one of its frame; marks one by one would drown it.
      place.querySelector("svg").setAttribute("aria-hidden", "true");
      views.push(view);
    } catch (error) {
      place.textContent = "This plot could not be drawn; the table below holds its figures.";
      console.error(error);
    }
  }

  for (const box of boxes) box.addEventListener("change", filter);
  Promise.all(Object.keys(figures).map(draw)).then(() => {
    filter();
    document.documentElement.dataset.drawn = views.length;
  });
})();
