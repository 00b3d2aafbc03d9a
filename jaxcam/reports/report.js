"use strict";
// The page reads without this: it adds sorting, filtering, and everything on paper.
(() => {
  const value = (cell) => {
    if (!cell) return null;
    if (!("value" in cell.dataset)) return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };

  // What is undefined stays last, whichever way is sorted.
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), "en", { numeric: true });
  };

  const sort = (heading) => {
    const table = heading.closest("table");
    const column = [...heading.parentElement.children].indexOf(heading);
    const first = heading.classList.contains("number") ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const order = heading.getAttribute("aria-sort") === first ? other : first;
    for (const th of heading.parentElement.children) th.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
    rows.sort((x, y) => compare(x[0], y[0], sign));
    body.append(...rows.map((pair) => pair[1]));
  };

  for (const button of document.querySelectorAll("table.sortable th button")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }

  const filter = (name) => {
    const target = document.getElementById(name);
    const items = target.tBodies ? [...target.tBodies[0].rows] : [...target.children];
    const wanted = [];
    for (const control of document.querySelectorAll(`[data-filters="${name}"]`)) {
      const box = control.type === "checkbox";
      const chosen = box && !control.checked ? "" : control.value;
      if (chosen) wanted.push([control.dataset.key, chosen]);
    }
    let shown = 0;
    for (const item of items) {
      item.hidden = !wanted.every(([key, chosen]) =>
        key === "kinds"
          ? item.dataset.kinds.split(" ").includes(chosen)
          : item.dataset[key] === chosen);
      shown += !item.hidden;
    }
    const count = document.getElementById(`${name}-count`);
    if (count) count.textContent = `${shown} of ${items.length} images`;
  };

  for (const control of document.querySelectorAll("[data-filters]")) {
    control.addEventListener("change", () => filter(control.dataset.filters));
  }
  if (document.getElementById("cards")) filter("cards");

  const outlines = document.getElementById("outlines");
  if (outlines) {
    const draw = () => document.body.classList.toggle("plain", !outlines.checked);
    outlines.addEventListener("change", draw);
    draw();
  }

  // Paper cannot be clicked: everything folded is opened, and folded again.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const item of folded) item.open = true;
  });
  addEventListener("afterprint", () => {
    for (const item of folded) item.open = false;
  });
})();
