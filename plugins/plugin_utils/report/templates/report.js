"use strict";
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const form = document.getElementById("filter");
  const search = document.getElementById("search");
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const rows = [...body.rows].filter((row) => row.dataset.verdict);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  // Of a fleet only so many rows are laid out at once, else every letter typed takes seconds. Without this script all of them are.
  const STEP = 300;
  let limit = STEP;
  const more = document.getElementById("more");

  const apply = () => {
    const wanted = search.value.trim().toLowerCase();
    const verdicts = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let found = 0;
    for (const row of rows) {
      const fits = verdicts.has(row.dataset.verdict) && texts.get(row).includes(wanted);
      found += fits;
      if (row.hidden === fits) row.hidden = !fits;
      row.classList.toggle("later", fits && found > limit);
    }
    document.getElementById("shown").textContent = found === rows.length ? "" : `${found} of ${rows.length}`;
    more.hidden = found <= limit;
    more.textContent = `Show more, ${found - limit} are left`;
  };
  more.addEventListener("click", () => { limit += STEP * 5; apply(); });
  form.hidden = rows.length < 2;
  apply();
  form.addEventListener("input", () => { limit = STEP; apply(); });
  form.addEventListener("submit", (event) => event.preventDefault());

  const value = (row, index, kind) => {
    const cell = row.cells[index];
    return kind === "number" ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  [...table.tHead.rows[0].cells].forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const kind = head.dataset.sort;
      const sign = down ? -1 : 1;
      const values = new Map(rows.map((row) => [row, value(row, index, kind)]));
      const order = kind === "number" ? (x, y) => x - y : new Intl.Collator(undefined, { numeric: true }).compare;
      rows.sort((a, b) => sign * order(values.get(a), values.get(b)));
      body.append(...rows);
      limit = STEP;
      apply();
    });
  });

  for (const command of document.querySelectorAll(".command")) {
    const code = command.querySelector("code");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    command.append(button);
  }
})();
