"use strict";

// Tables: a click on a head, or Enter on it, sorts; what is absent stays last.
const language = document.documentElement.lang;
const collator = new Intl.Collator(language, { numeric: true });
const percent = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const decimal = percent.formatToParts(0).find((part) => part.type === "decimal").value;
const ABSENT = "–";

// Cells have signs of currencies, percent and groups of digits, each in the language's own form.
function numberOf(text) {
  return parseFloat(Array.from(text, (char) => (char === decimal ? "." : /[0-9]/.test(char) ? char : "")).join(""));
}

function sortBy(head) {
  const isNumber = head.classList.contains("number");
  const was = head.getAttribute("aria-sort");
  const order = was === "none" ? (isNumber ? "descending" : "ascending") : was === "ascending" ? "descending" : "ascending";
  for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", order);

  const sign = order === "ascending" ? 1 : -1;
  const value = isNumber ? numberOf : (text) => text;
  const compare = isNumber ? (a, b) => a - b : collator.compare;
  const body = head.closest("table").tBodies[0];
  const rows = Array.from(body.rows, (row) => {
    const text = row.cells[head.cellIndex].textContent;
    return { row, value: value(text), absent: text === ABSENT || text === "" };
  });
  rows.sort((a, b) => a.absent - b.absent || (a.absent ? 0 : sign * compare(a.value, b.value)));
  body.append(...rows.map(({ row }) => row));
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.parentElement));
}

// A table that is wider than its box fades out where it goes on, and says so.
for (const box of document.querySelectorAll(".scroll")) {
  const hint = box.previousElementSibling;
  const look = () => {
    hint.hidden = box.scrollWidth <= box.clientWidth;
    box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  };
  box.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(box);
}
