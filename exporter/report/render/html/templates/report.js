// The heat map: for each GPU a row of cells, and below it a strip in the colours of its users.
const WIDTH = 1440; // A pixel for each minute of a day.
const ROW = 18;
const CELL = 12;
const STRIP = 4;
const GAP = "#8a93a0";
const LEVELS = 200;
const NOT_OBSERVED = 255;

const data = JSON.parse(document.getElementById("data").textContent);
const cells = Uint8Array.from(atob(data.cells), (letter) => letter.charCodeAt(0));
const columns = data.seconds.length - 1;
const total = data.seconds[columns];
const pixel = (second) => Math.round((second / total) * WIDTH);

function colourOf(user) {
  return getComputedStyle(document.querySelector(`.owner.c${user}`)).backgroundColor;
}

function paintCells(context, lane, top, ramp) {
  for (let column = 0; column < columns; column++) {
    const left = pixel(data.seconds[column]);
    const width = pixel(data.seconds[column + 1]) - left;
    const level = cells[lane * columns + column];
    if (level === NOT_OBSERVED) {
      context.globalAlpha = 0.7;
      context.fillStyle = GAP;
      context.fillRect(left, top + CELL / 2 - 1, width, 1);
    } else {
      context.globalAlpha = 0.06 + (0.94 * level) / LEVELS;
      context.fillStyle = ramp;
      context.fillRect(left, top, width, CELL);
    }
  }
  context.globalAlpha = 1;
}

function* spellsOf(lane) {
  let start = 0;
  const flat = data.spells[lane];
  for (let n = 0; n < flat.length; n += 2) {
    yield { start, end: flat[n], owner: data.owners[flat[n + 1]] };
    start = flat[n];
  }
}

function paintOwners(context, lane, top, colours) {
  for (const { start, end, owner } of spellsOf(lane)) {
    const left = pixel(start);
    const right = pixel(end);
    if (owner.unknown) {
      context.fillStyle = GAP;
      for (let x = left; x < right; x += 9) context.fillRect(x, top + 1, Math.min(4, right - x), 2);
    }
    owner.colours.forEach((user, n) => {
      const height = STRIP / owner.colours.length;
      context.fillStyle = colours[user];
      context.fillRect(left, top + n * height, Math.max(1, right - left), height);
    });
  }
}

const used = new Set(data.owners.flatMap((owner) => owner.colours));
const colours = Object.fromEntries(Array.from(used, (user) => [user, colourOf(user)]));
const tip = document.getElementById("tip");
let firstLane = 0;

for (const box of document.querySelectorAll(".canvas")) {
  const gpus = Number(box.dataset.gpus);
  const canvas = box.firstElementChild;
  canvas.width = WIDTH;
  canvas.height = gpus * ROW;
  box.style.setProperty("--gpus", gpus);
  const context = canvas.getContext("2d");
  const ramp = getComputedStyle(box).color;
  for (let gpu = 0; gpu < gpus; gpu++) {
    paintCells(context, firstLane + gpu, gpu * ROW, ramp);
    paintOwners(context, firstLane + gpu, gpu * ROW + CELL, colours);
  }
  explain(box, firstLane, gpus);
  firstLane += gpus;
}

// Pointing at a cell, or walking to it with the arrow keys, tells what it stands for.
function explain(box, first, gpus) {
  const figure = box.closest("figure");
  const labels = figure.querySelectorAll("li");
  const host = figure.querySelector("figcaption b").textContent;
  const cursor = document.createElement("span");
  cursor.className = "cursor";
  let [gpu, column] = [0, 0];

  function show() {
    const lane = first + gpu;
    const [from, to] = [data.seconds[column], data.seconds[column + 1]];
    const level = cells[lane * columns + column];
    const owners = new Set();
    for (const { start, end, owner } of spellsOf(lane)) if (start < to && end > from) owners.add(owner.name);
    const lines = [
      `${host} · ${labels[gpu].textContent}`,
      `${data.times[column]} – ${data.times[column + 1]}`,
      level === NOT_OBSERVED ? data.not_observed : percent.format(level / LEVELS),
      Array.from(owners).join(" → "),
    ];
    tip.replaceChildren(
      ...lines.filter(Boolean).map((line) => Object.assign(document.createElement("span"), { textContent: line })),
    );
    tip.hidden = false;

    const area = box.getBoundingClientRect();
    const left = (from / total) * area.width;
    cursor.style.left = `${left}px`;
    cursor.style.width = `${((to - from) / total) * area.width}px`;
    cursor.style.top = `${gpu * ROW}px`;
    box.append(cursor);
    const x = Math.min(area.left + left + 16, innerWidth - tip.offsetWidth - 8);
    const y = area.top + (gpu + 1) * ROW + 8;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${y + tip.offsetHeight < innerHeight ? y : y - ROW - tip.offsetHeight - 16}px`;
  }

  function hide() {
    tip.hidden = true;
    cursor.remove();
  }

  function point(event) {
    const area = box.getBoundingClientRect();
    const second = ((event.clientX - area.left) / area.width) * total;
    column = Math.max(0, data.seconds.findLastIndex((start, n) => n < columns && start <= second));
    gpu = Math.max(0, Math.min(gpus - 1, Math.floor((event.clientY - area.top) / ROW)));
    show();
  }

  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  function walk(event) {
    if (event.key === "Escape") hide();
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    gpu = Math.max(0, Math.min(gpus - 1, gpu + step[0]));
    column = Math.max(0, Math.min(columns - 1, column + step[1]));
    show();
  }

  box.addEventListener("pointermove", point);
  box.addEventListener("pointerdown", point);
  box.addEventListener("pointerleave", hide);
  box.addEventListener("focus", show);
  box.addEventListener("blur", hide);
  box.addEventListener("keydown", walk);
}
