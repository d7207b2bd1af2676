// The ops page: asks for the data every two seconds while somebody can see it, and shows the part that is chosen.
// Knows nothing of what the parts look like (ops_parts.js) nor how elements are made (ops_dom.js).

import { ago, el, setText } from "./ops_dom.js";
import { makeParts } from "./ops_parts.js";

const EVERY = 2000; // milliseconds
const PATIENCE = 10000; // for one answer
const LONGEST_WAIT = 30000; // between two tries while the service does not answer
const STALE = 10; // seconds; older figures are said to be

const byId = (id) => document.getElementById(id);
const state = { data: null, arrived: 0, failures: 0, isPaused: false, isAsking: false, timer: 0, chosen: "" };

function say(text) {
  setText(byId("said"), text); // for screen readers: what changed, never the figures themselves
}

const parts = makeParts(say, choose);
const tabs = new Map();
const panels = new Map();

function build() {
  for (const part of parts) {
    const badge = el("span", { class: "count", hidden: true });
    const tab = el("button", { type: "button", role: "tab", id: `tab-${part.name}`, "aria-controls": `part-${part.name}`,
      "aria-selected": "false", tabindex: "-1", on: { click: () => choose(part.name), keydown: moved } },
    part.title, badge);
    const panel = el("section", { role: "tabpanel", id: `part-${part.name}`, "aria-labelledby": `tab-${part.name}`,
      tabindex: "0", hidden: true }, part.element);
    tabs.set(part.name, { tab, badge });
    panels.set(part.name, panel);
    byId("tabs").append(tab);
    byId("main").append(panel);
  }
  choose(location.hash.slice(1));
  addEventListener("hashchange", () => choose(location.hash.slice(1)));
}

function choose(asked) {
  const name = tabs.has(asked) ? asked : parts[0].name;
  if (name === state.chosen) return;
  state.chosen = name;
  for (const [each, { tab }] of tabs) {
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    panels.get(each).hidden = each !== name;
  }
  const row = byId("tabs");
  const { tab } = tabs.get(name);
  row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.clientWidth) / 2;
  if (location.hash.slice(1) !== name) history.replaceState(null, "", `#${name}`);
  show();
}

function moved(event) {
  const names = parts.map((part) => part.name);
  const at = names.indexOf(state.chosen);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const name = names[(next + names.length) % names.length];
  choose(name);
  tabs.get(name).tab.focus();
}

function show() {
  if (!state.data) return;
  for (const part of parts) {
    const { badge } = tabs.get(part.name);
    const number = part.badge ? part.badge(state.data) : 0;
    badge.hidden = !number;
    setText(badge, number > 999 ? "999+" : String(number || "")); // "!" where a number says nothing
    badge.classList.toggle("alarm", Boolean(part.alarms && part.alarms(state.data)));
  }
  byId("note").hidden = !state.data.note;
  setText(byId("note"), state.data.note);
  parts.find((part) => part.name === state.chosen).show(state.data);
}

function showState() {
  const line = byId("state");
  const age = state.data ? (Date.now() - state.arrived) / 1000 : 0;
  const isStale = !state.isPaused && (state.failures > 1 || age > STALE);
  line.className = `state${state.isPaused || !state.data ? "" : isStale ? " broken" : " live"}`;
  if (state.data) {
    const workers = state.data.service.workers;
    const when = state.isPaused || isStale ? `figures of ${ago(state.arrived / 1000, Date.now() / 1000)}` : "live";
    setText(line, `${state.isPaused ? "Paused, " : ""}${when} · ${workers} worker${workers === 1 ? "" : "s"}`);
  }
}

function failed(text) {
  state.failures += 1;
  if (state.failures < 2 && state.data) return; // one lost answer is no news
  const banner = byId("alert");
  if (banner.hidden) say("");
  setText(banner, `${text} ${state.data ? "The figures below are old." : ""} Trying again.`);
  banner.hidden = false;
}

async function ask() {
  clearTimeout(state.timer);
  if (state.isAsking || state.isPaused || document.hidden) return;
  state.isAsking = true;
  const control = new AbortController();
  const impatience = setTimeout(() => control.abort(), PATIENCE);
  try {
    const answer = await fetch("data.json", { signal: control.signal, cache: "no-store", credentials: "same-origin" });
    if (answer.status === 401 || answer.status === 404) {
      location.reload(); // the session has ended: the login form is what this address shows now
      return;
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const data = await answer.json();
    if (state.isPaused) return;
    if (state.failures > 1) say("The service answers again.");
    Object.assign(state, { data, arrived: Date.now(), failures: 0 });
    byId("alert").hidden = true;
    show();
  } catch (error) {
    failed(error instanceof TypeError || error.name === "AbortError"
      ? "The service does not answer." : `The service answers with an error (${error.message}).`);
  } finally {
    clearTimeout(impatience);
    state.isAsking = false;
    showState();
    state.timer = setTimeout(ask, Math.min(LONGEST_WAIT, EVERY * 2 ** Math.min(4, Math.max(0, state.failures - 1))));
  }
}

byId("pause").addEventListener("click", () => {
  state.isPaused = !state.isPaused;
  byId("pause").setAttribute("aria-pressed", String(state.isPaused));
  say(state.isPaused ? "Updates are paused." : "Updates go on.");
  showState();
  ask();
});
document.addEventListener("visibilitychange", ask);
setInterval(showState, 1000);
build();
ask();
