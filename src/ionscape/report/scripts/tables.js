// Tables sort by any column and export what they show.

function cellText(cell) {
  const copy = cell.cloneNode(true);
  copy.querySelectorAll("br").forEach((br) => br.replaceWith(" "));
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function cellNumber(text) {
  const plain = text.replaceAll("−", "-").replace(/[\u2009\u202f\u00a0]/g, " ");
  const found = /(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?: ?× ?10\^?(-?\d+))?/.exec(plain);
  return found ? Number(found[1]) * 10 ** Number(found[2] ?? 0) : NaN;
}

function comparing(column, numeric, sign) {
  const key = (row) => { const text = row.cells[column] ? cellText(row.cells[column]) : ""; return numeric ? cellNumber(text) : text; };
  return (one, other) => {
    const [a, b] = [key(one), key(other)];
    if (!numeric) { return sign * a.localeCompare(b, undefined, { numeric: true }); }
    if (Number.isNaN(a) || Number.isNaN(b)) { return Number.isNaN(a) - Number.isNaN(b); } // unknown stays last
    return sign * (a - b);
  };
}

function sortBy(table, head, column) {
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const body = table.tBodies[0];
  const rows = [...body.rows].sort(comparing(column, head.classList.contains("n"), sign));
  body.append(...rows);
  table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
}

function csvOf(table) {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const lines = [...table.rows].map((row) => [...row.cells].flatMap((cell) => [quoted(cellText(cell)), ...Array(cell.colSpan - 1).fill("")]).join(","));
  return `\ufeff${lines.join("\r\n")}\r\n`; // the mark makes spreadsheets read UTF-8
}

function beginTables() {
  document.querySelectorAll("main .table table").forEach((table, number) => {
    if (!table.tHead || table.closest(".card")) { return; }
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(table, head, column));
      head.append(button);
    });
    const section = table.closest("section").id;
    const tool = document.createElement("button");
    tool.type = "button";
    tool.className = "tool csv";
    tool.textContent = "Table as CSV";
    tool.addEventListener("click", () => save(new Blob([csvOf(table)], { type: "text/csv" }), `${section}-${number + 1}.csv`));
    table.parentElement.after(tool);
  });
}
