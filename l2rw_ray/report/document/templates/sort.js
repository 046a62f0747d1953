for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], planned = [...body.rows];
  if (planned.length < 3) continue;
  const text = (row, place) => {
    const cell = row.cells[place];
    return (cell.querySelector(".value") || cell).textContent.trim();
  };
  const number = (row, place) => parseFloat(text(row, place).replace(/\u2212/g, "-").replace(/[<+,\s]/g, ""));
  const order = (place, sign) => (one, other) => {
    const a = number(one, place), b = number(other, place);
    if (!place || (isNaN(a) && isNaN(b)))
      return sign * text(one, place).localeCompare(text(other, place), "en", { numeric: true });
    return isNaN(a) ? 1 : isNaN(b) ? -1 : sign * (a - b);
  };
  [...table.tHead.rows[0].cells].forEach((head, place, heads) => {
    const turn = () => {
      const next = { undefined: "ascending", ascending: "descending" }[head.ariaSort || undefined];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      body.append(...(next ? [...planned].sort(order(place, sign)) : planned));
    };
    head.tabIndex = 0;
    head.title = "Sort by this column";
    head.classList.add("sorts");
    head.addEventListener("click", turn);
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); turn(); }
    });
  });
}
