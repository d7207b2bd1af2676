// Makes and updates what the ops page is made of. Whatever comes from the service is put in as text, never as HTML.
// Elements stay while their row stays, so that what is open, focused or selected survives an update.

export const SHOWN = 50; // rows at first; "show more" adds as many

const integers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (value) => integers.format(value || 0);
export const one = (value) => tenths.format(value || 0);
export const percent = (share) => `${integers.format(100 * (share || 0))} %`;

export function duration(seconds) {
  const [value, unit] = durationParts(seconds);
  return `${value} ${unit}`;
}

export function durationParts(seconds) {
  const value = seconds || 0;
  if (!value) return ["0", "ms"];
  if (value < 0.01) return [(value * 1e3).toFixed(2), "ms"];
  if (value < 0.1) return [(value * 1e3).toFixed(1), "ms"];
  if (value < 1) return [(value * 1e3).toFixed(0), "ms"];
  if (value < 10) return [value.toFixed(2), "s"];
  if (value < 120) return [value.toFixed(0), "s"];
  if (value < 7200) return [(value / 60).toFixed(0), "min"];
  if (value < 172800) return [(value / 3600).toFixed(1), "h"];
  return [(value / 86400).toFixed(1), "days"];
}

export function bytes(value) {
  if (!value) return "–";
  const mebi = value / 1048576;
  return mebi < 1024 ? `${mebi.toFixed(0)} MiB` : `${(mebi / 1024).toFixed(2)} GiB`;
}

export function ago(when, now) {
  if (!when) return "never";
  const seconds = Math.max(0, now - when);
  return seconds < 2 ? "just now" : `${duration(Math.round(seconds))} ago`;
}

// el("p", {class: "dim", text: "…"}, child, …): attributes by name, `text`, `on` and children.
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") element.textContent = value;
    else if (key === "on") for (const [event, heard] of Object.entries(value)) element.addEventListener(event, heard);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// A bar that shows a part of the highest there is.
export function setShare(bar, share) {
  bar.firstChild.style.width = `${(100 * Math.min(1, Math.max(0, share || 0))).toFixed(1)}%`;
}

// A bar that shows how much of something is used up.
export function setBar(bar, share) {
  const bounded = Math.min(1, share || 0);
  setShare(bar, bounded);
  bar.classList.toggle("warm", bounded >= 0.75 && bounded < 1);
  bar.classList.toggle("hot", bounded >= 1);
}

export const makeBar = () => el("span", { class: "bar", "aria-hidden": "true" }, el("i"));

const SVG = "http://www.w3.org/2000/svg";

export function makeSparkline() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 30");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const kind of ["area", "line"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    svg.append(path);
  }
  return svg;
}

export function setSparkline(svg, values) {
  const highest = Math.max(...values, 0) || 1;
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map((value, at) => `${(at * step).toFixed(2)},${(29 - (27 * value) / highest).toFixed(2)}`);
  const line = points.length ? `M${points.join("L")}` : "";
  svg.children[0].setAttribute("d", line && `${line}L100,30L0,30Z`);
  svg.children[1].setAttribute("d", line);
}

// Shows rows in a parent: `make(row)` returns an element, `update(element, row)` fills it. Elements are known by key.
export class Keyed {
  constructor(parent, key, make, update) {
    Object.assign(this, { parent, key, make, update, known: new Map() });
  }

  show(rows) {
    const focused = this.parent.contains(document.activeElement) ? document.activeElement : null;
    const kept = new Map();
    for (const row of rows) {
      const key = this.key(row);
      if (kept.has(key)) continue;
      const element = this.known.get(key) || this.make(row);
      this.update(element, row);
      kept.set(key, element);
    }
    for (const [key, element] of this.known) if (!kept.has(key)) element.remove();
    let next = this.parent.firstChild;
    for (const element of kept.values()) {
      if (element === next) next = next.nextSibling;
      else this.parent.insertBefore(element, next);
    }
    this.known = kept;
    if (focused && document.activeElement !== focused && focused.isConnected) focused.focus({ preventScroll: true });
  }
}

// A table by its columns: {label, text(row), number, make(row), update(cell, row)}. The first one heads its row.
// The roles are said as well as meant: below 640 px the rows are cards, and browsers forget what `display` hides.
export class Table {
  constructor(caption, columns, key) {
    this.columns = columns;
    const heads = columns.map((column) =>
      el("th", { scope: "col", role: "columnheader", class: column.number ? "num" : undefined, text: column.label }));
    this.body = el("tbody", { role: "rowgroup" });
    this.element = el("table", { role: "table" }, el("caption", { text: caption }),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)), this.body);
    this.rows = new Keyed(this.body, key, (row) => this.make(row), (element, row) => this.update(element, row));
  }

  make(row) {
    const cells = this.columns.map((column, at) => {
      const kind = [column.number && "num", column.short && "short"].filter(Boolean).join(" ") || undefined;
      const cell = at === 0
        ? el("th", { scope: "row", role: "rowheader", class: kind })
        : el("td", { role: "cell", class: kind, "data-label": column.label });
      if (column.make) cell.append(column.make(row));
      else if (at) cell.append(el("span"));
      return cell;
    });
    return el("tr", { role: "row" }, ...cells);
  }

  update(element, row) {
    this.columns.forEach((column, at) => {
      const cell = element.children[at];
      if (column.update) column.update(cell, row);
      else if (column.text) setText(at ? cell.firstChild : cell, column.text(row));
    });
  }

  show(rows) {
    this.rows.show(rows);
  }
}

export function empty(title, text) {
  return el("div", { class: "card empty" }, el("strong", { text: title }), el("span", { text }));
}

export function copyButton(text, say) {
  const button = el("button", { type: "button", text: "Copy" });
  button.addEventListener("click", async () => {
    const done = await copy(text());
    button.textContent = done ? "Copied" : "Select it";
    say(done ? "Copied." : "The browser does not let this page copy; select the text instead.");
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // a page without https has no clipboard of its own
  }
}

function copyBySelection(text) {
  const field = el("textarea", { class: "unseen", readonly: true, "aria-hidden": "true" });
  const focused = document.activeElement;
  field.value = text;
  document.body.append(field);
  field.select();
  let done = false;
  try { done = document.execCommand("copy"); } catch { /* said by the caller */ }
  field.remove();
  if (focused) focused.focus();
  return done;
}
