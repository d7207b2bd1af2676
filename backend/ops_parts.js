// The parts of the ops page. Each has a name, a title, an element, `show(data)`, and what its tab's badge says.

import {
  SHOWN, Keyed, Table, ago, bytes, copyButton, count, duration, durationParts, el, empty, makeBar, makeSparkline, one,
  percent, setAttribute, setBar, setShare, setSparkline, setText,
} from "./ops_dom.js";

export function makeParts(say, choose) {
  return [
    overview(choose), queries(), incidents(say), slow(), routes(), workers(), pools(), bouncer(),
  ];
}

// Shows `part` when there are rows and `nothing` when there are none; returns the element of both.
function either(part, nothing) {
  const box = el("div", { class: "items" }, part, nothing);
  box.choose = (has) => { part.hidden = !has; nothing.hidden = has; };
  return box;
}

// A list with a filter, sort buttons and a window of rows.
class List {
  constructor({ name, sorts, words, display, nothing, wrap }) {
    Object.assign(this, { sorts, words, display, most: SHOWN, sorted: 0, rows: [] });
    this.filter = el("input", { type: "search", id: `filter-${name}`, autocomplete: "off", spellcheck: "false" });
    this.filter.addEventListener("input", () => { this.most = SHOWN; this.draw(); });
    this.buttons = sorts.map(([label], at) => el("button", { type: "button", text: label, "aria-pressed": String(!at),
      on: { click: () => this.sort(at) } }));
    this.shown = el("span");
    this.more = el("button", { type: "button", on: { click: () => { this.most += SHOWN; this.draw(); } } });
    const tools = el("div", { class: "tools" },
      el("label", { for: `filter-${name}`, text: "Filter by statement, line or route" }, this.filter),
      el("div", { class: "sorts", role: "group", "aria-label": "Sort by" }, el("span", { text: "Sort by" }), ...this.buttons));
    const foot = el("div", { class: "foot" }, this.shown, this.more);
    const inner = wrap ? el("div", { class: "card" }, display.element, foot) : el("div", {}, display.element, foot);
    this.element = either(el("div", { class: "items" }, tools, inner), nothing);
  }

  sort(at) {
    this.sorted = at;
    this.most = SHOWN;
    this.buttons.forEach((button, each) => button.setAttribute("aria-pressed", String(each === at)));
    this.draw();
  }

  show(rows, data) {
    this.rows = rows;
    this.data = data;
    this.element.choose(rows.length > 0);
    this.draw();
  }

  draw() {
    const wanted = this.filter.value.trim().toLowerCase();
    const found = wanted ? this.rows.filter((row) => this.words(row).toLowerCase().includes(wanted)) : [...this.rows];
    const by = this.sorts[this.sorted][1];
    found.sort((a, b) => by(b) - by(a));
    this.display.show(found.slice(0, this.most), this.data);
    const left = found.length - this.most;
    setText(this.shown, found.length ? `${count(Math.min(found.length, this.most))} of ${count(found.length)}` : "Nothing fits the filter.");
    this.more.hidden = left <= 0;
    setText(this.more, `Show ${count(Math.min(SHOWN, Math.max(0, left)))} more`);
  }
}

// A statement with its line: the summary, and the whole text when it is opened.
function makeStatement() {
  return el("details", {}, el("summary", {}, el("code"), el("span", { class: "where mono" })), el("pre"),
    el("span", { class: "where" }));
}

function setStatement(cell, row) {
  const [summary, text, asked] = cell.firstChild.children;
  setText(summary.children[0], row.summary || row.text.slice(0, 80));
  setText(summary.children[1], row.site);
  setText(text, row.text);
  setText(asked, row.route ? `asked by ${row.route}` : "");
}

const statement = { label: "Statement and line", make: makeStatement, update: setStatement };
const byStatement = (row) => `${row.id} ${row.site}`;

function barOf(label, text, share) {
  return {
    label, number: true,
    make: () => el("span", {}, el("span"), makeBar()),
    update: (cell, row) => {
      setText(cell.firstChild.firstChild, text(row));
      setShare(cell.firstChild.lastChild, share(row));
    },
  };
}

function queries() {
  let most = 1;
  const table = new Table("Queries by statement and line", [
    statement,
    { label: "Runs", number: true, text: (row) => count(row.count) },
    barOf("Total time", (row) => duration(row.seconds), (row) => row.seconds / most),
    { label: "Mean", number: true, text: (row) => duration(row.mean) },
    { label: "Slowest", number: true, text: (row) => duration(row.slowest) },
    { label: "Most in a request", number: true, text: (row) => count(row.most_per_request) },
    { label: "Rows", number: true, text: (row) => count(row.rows) },
    { label: "Failed", number: true, text: (row) => count(row.errors) },
  ], byStatement);
  const list = new List({
    name: "queries", display: table, wrap: true, words: (row) => `${row.text} ${row.site} ${row.route}`,
    sorts: [["Total time", (row) => row.seconds], ["Slowest", (row) => row.slowest], ["Mean", (row) => row.mean],
      ["Most in a request", (row) => row.most_per_request], ["Runs", (row) => row.count], ["Failed", (row) => row.errors]],
    nothing: empty("No queries so far", "Each statement of each line appears here with its time once a request has run it."),
  });
  return {
    name: "queries", title: "Queries", element: list.element, badge: (data) => data.queries.length,
    show(data) {
      most = data.queries.reduce((highest, row) => Math.max(highest, row.seconds), 1e-9);
      list.show(data.queries, data);
    },
  };
}

function fact(label, before = "") {
  return el("span", {}, before && `${before} `, el("b"), label && ` ${label}`);
}

function setFacts(box, values) {
  values.forEach((value, at) => {
    box.children[at].hidden = value === "";
    setText(box.children[at].querySelector("b"), value);
  });
}

function makeIncident(say) {
  return () => {
    const code = el("code");
    const item = el("li", { class: "card item" },
      el("h3"),
      el("p", { class: "facts" }, fact("times seen"), fact("", "last seen"), fact("lost each time"), fact("of the request"), fact("lost in all")),
      el("ul", { class: "lines" }),
      el("p", {}, el("strong", { text: "Do this: " }), el("span")),
      el("div", { class: "snippet" }, el("pre", {}, code), copyButton(() => code.textContent, say)),
      el("details", {}, el("summary", { text: "Called from" }), el("pre")));
    item.lines = new Keyed(item.children[2], (line) => `${line.site} ${line.text}`,
      () => el("li", {}, el("span", { class: "mono" }), el("code", { class: "where" })),
      (element, line) => {
        setText(element.children[0], `${line.site}: ${count(line.count)} ×`);
        setText(element.children[1], line.text);
      });
    return item;
  };
}

function setIncident(item, row, now) {
  const [title, facts, , advice, snippet, stack] = item.children;
  setText(title, `${count(row.count)} queries in one request of ${row.route || "no route"}`);
  setFacts(facts, [count(row.times), ago(row.last, now), duration(row.seconds), percent(row.share), duration(row.total_seconds)]);
  item.lines.show(row.lines);
  setText(advice.lastChild, row.advice);
  snippet.hidden = !row.rewrite;
  setText(snippet.firstChild.firstChild, row.rewrite);
  stack.hidden = !row.stack.length;
  setText(stack.lastChild, row.stack.join("\n"));
}

// A list of cards in the place of a table.
class Cards {
  constructor(key, make, update) {
    this.element = el("ul", { class: "items" });
    this.rows = new Keyed(this.element, key, make, (element, row) => update(element, row, this.now));
  }

  show(rows, data) {
    this.now = data ? data.now : this.now;
    this.rows.show(rows);
  }
}

function incidents(say) {
  const list = new List({
    name: "incidents", display: new Cards((row) => row.id, makeIncident(say), setIncident),
    words: (row) => `${row.route} ${row.advice} ${row.lines.map((line) => `${line.site} ${line.text}`).join(" ")}`,
    sorts: [["Time lost", (row) => row.total_seconds], ["Last seen", (row) => row.last], ["Queries", (row) => row.count], ["Times seen", (row) => row.times]],
    nothing: empty("No N+1 so far", "A request that runs the same statement from one line more often than DB_REPEAT_LIMIT appears here, with the rewrite that fits."),
  });
  return {
    name: "repeats", title: "N+1", element: list.element, badge: (data) => data.incidents.length,
    alarms: (data) => data.incidents.some((row) => data.now - row.last < 600),
    show: (data) => list.show(data.incidents, data),
  };
}

function makeSlow() {
  return el("li", { class: "card item" }, el("h3", {}, el("code")), el("p", { class: "where mono" }),
    el("p", { class: "facts" }, fact("slowest"), fact("times"), fact("", "last seen"), fact("rows"), fact("ended by the timeout"), fact("", "asked by")),
    el("pre"), el("details", {}, el("summary", { text: "Plan" }), el("pre", { class: "wide", tabindex: "0", "aria-label": "Plan" })),
    el("p", { class: "dim", text: "No plan: it was not asked for, or could not be." }));
}

function setSlow(item, row, now) {
  const [title, where, facts, text, plan, none] = item.children;
  setText(title.firstChild, row.summary || row.text.slice(0, 80));
  setText(where, row.site);
  setFacts(facts, [duration(row.slowest), count(row.times), ago(row.last, now), row.rows < 0 ? "" : count(row.rows),
    row.timeouts ? count(row.timeouts) : "", row.route || ""]);
  setText(text, row.text);
  plan.hidden = !row.plan;
  none.hidden = Boolean(row.plan);
  setText(plan.lastChild, row.plan);
}

function slow() {
  const list = new List({
    name: "slow", display: new Cards(byStatement, makeSlow, setSlow), words: (row) => `${row.text} ${row.site} ${row.route}`,
    sorts: [["Slowest", (row) => row.slowest], ["Times", (row) => row.times], ["Last seen", (row) => row.last]],
    nothing: empty("No slow queries so far", "A query that takes longer than DB_SLOW_QUERY_MS appears here, with its plan."),
  });
  return {
    name: "slow", title: "Slow", element: list.element, badge: (data) => data.slow.length,
    alarms: (data) => data.slow.some((row) => data.now - row.last < 600),
    show: (data) => list.show(data.slow, data),
  };
}

function routes() {
  let most = 1;
  const table = new Table("Requests by route", [
    { label: "Route", make: () => el("span", {}, el("code"), el("span", { class: "where" })), update: (cell, row) => {
      setText(cell.firstChild.firstChild, row.route);
      setText(cell.firstChild.lastChild, row.method);
    } },
    { label: "Requests", number: true, text: (row) => count(row.count) },
    barOf("Total time", (row) => duration(row.seconds), (row) => row.seconds / most),
    { label: "Mean", number: true, text: (row) => duration(row.mean) },
    { label: "p95", number: true, text: (row) => `≈ ${duration(row.p95)}` },
    { label: "Slowest", number: true, text: (row) => duration(row.slowest) },
    { label: "Queries each", number: true, text: (row) => one(row.queries_per_request) },
    { label: "Errors", number: true, update: (cell, row) => {
      setText(cell.firstChild, count(row.errors));
      cell.firstChild.classList.toggle("bad", row.errors > 0);
    } },
  ], (row) => `${row.method} ${row.route}`);
  const list = new List({
    name: "routes", display: table, wrap: true, words: (row) => `${row.method} ${row.route}`,
    sorts: [["Total time", (row) => row.seconds], ["Requests", (row) => row.count], ["Mean", (row) => row.mean], ["p95", (row) => row.p95],
      ["Queries each", (row) => row.queries_per_request], ["Errors", (row) => row.errors]],
    nothing: empty("No requests so far", "Each route appears here with its times and its queries once it was asked for."),
  });
  return {
    name: "requests", title: "Requests", element: list.element, alarms: (data) => sum(data.series.errors) > 0,
    badge: (data) => data.routes.length,
    show(data) {
      most = data.routes.reduce((highest, row) => Math.max(highest, row.seconds), 1e-9);
      list.show(data.routes, data);
    },
  };
}

const before = new Map(); // worker: [when, CPU seconds], of the answer before
const share = new Map();

function noteProcessors(data) {
  for (const row of data.workers) {
    const [when, seconds] = before.get(row.worker) || [row.when, row.cpu_seconds];
    if (row.when > when) share.set(row.worker, (row.cpu_seconds - seconds) / (row.when - when));
    before.set(row.worker, [row.when, row.cpu_seconds]);
  }
}

const processor = (row) => (share.has(row.worker) ? percent(share.get(row.worker)) : "–");

function workers() {
  let now = 0;
  const table = new Table("Workers", [
    { label: "Process", short: true, text: (row) => String(row.pid) },
    { label: "Requests", number: true, text: (row) => count(row.requests) },
    { label: "Errors", number: true, text: (row) => count(row.errors) },
    { label: "In flight", number: true, text: (row) => count(row.in_flight) },
    { label: "Oldest", number: true, text: (row) => (row.in_flight ? duration(row.oldest_request) : "–") },
    { label: "CPU", number: true, text: processor },
    { label: "Memory", number: true, text: (row) => bytes(row.rss_bytes) },
    { label: "Threads", number: true, text: (row) => count(row.threads) },
    { label: "Open files", number: true, text: (row) => count(row.open_files) },
    { label: "Up", number: true, text: (row) => duration(row.uptime) },
    { label: "State", update: (cell, row) => {
      const isWell = row.health === "ok" && !row.is_stale;
      setText(cell.firstChild, row.is_stale ? `silent for ${duration(now - row.when)}` : row.health);
      setAttribute(cell.firstChild, "class", isWell ? "good" : "bad");
    } },
  ], (row) => row.worker);
  const ended = el("p", { class: "foot" });
  return {
    name: "workers", title: "Workers", element: el("div", { class: "card" }, table.element, ended),
    badge: (data) => data.workers.length,
    alarms: (data) => data.workers.some((row) => row.health !== "ok" || row.is_stale),
    show(data) {
      now = data.now;
      noteProcessors(data);
      table.show(data.workers);
      ended.hidden = !data.ended_workers;
      setText(ended, `${count(data.ended_workers)} more ended within the last hour; what they counted is in the sums.`);
    },
  };
}

// A stack as its innermost frame, with the others when it is opened.
function place(label, stack) {
  return {
    label,
    make: () => el("details", {}, el("summary", { class: "mono" }), el("pre")),
    update: (cell, row) => {
      const frames = String(stack(row) || "–").split(" < ");
      setText(cell.firstChild.firstChild, frames[0]);
      setText(cell.firstChild.lastChild, frames.slice(1).join("\n") || "No frames around it.");
    },
  };
}

function makePool() {
  const item = el("li", { class: "card item" }, el("h3"), makeBar(),
    el("p", { class: "facts" }, fact("in use"), fact("idle"), fact("at most"), fact("waiting"), fact("longest lease"), fact("timeouts"), fact("waited in all")),
    el("div"), el("div"));
  item.lists = [["Who holds", true], ["Who waits", false]].map(([caption, taken]) => new Table(caption, [
    { label: "Thread", short: true, text: (row) => String(row.thread ?? "") },
    { label: "For", number: true, text: (row) => duration(row.seconds) },
    ...(taken ? [{ label: "State", text: (row) => String(row.state ?? "") }] : []),
    ...(taken ? [place("Taken at", (row) => row.taken_at)] : []), place("Now at", (row) => row.now_at),
  ], (row) => row.key));
  item.lists.forEach((table, at) => item.children[3 + at].append(table.element));
  return item;
}

function setPool(item, row) {
  const [title, bar, facts] = item.children;
  setText(title, `${row.name} of process ${row.pid}`);
  setBar(bar, row.used / (row.maxconn || 1));
  setFacts(facts, [count(row.used), count(row.idle), count(row.maxconn), count(row.waiting), duration(row.longest_lease), count(row.timeouts), duration(row.wait_time)]);
  [row.holders, row.waiters].forEach((rows, at) => {
    item.children[3 + at].hidden = !rows.length;
    const seen = new Map(); // a thread may hold several
    item.lists[at].show(rows.map((row) => {
      seen.set(row.thread, (seen.get(row.thread) || 0) + 1);
      return { ...row, key: `${row.thread} ${seen.get(row.thread)}` };
    }));
  });
}

function pools() {
  const cards = new Cards((row) => `${row.worker} ${row.number}`, makePool, setPool);
  const box = either(cards.element, empty("No pool so far", "A worker's pool appears here, with who holds its connections, once it was used."));
  return {
    name: "pools", title: "Pools", element: box, badge: (data) => data.pools.length,
    alarms: (data) => data.service.waiting > 0,
    show(data) {
      box.choose(data.pools.length > 0);
      cards.show(data.pools, data);
    },
  };
}

const words = (name) => name.replaceAll("_", " ");

function shownValue(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" ? count(value) : String(value) || "–";
}

// What PgBouncer calls its columns, in words and with units; others stand as they are called.
const COLUMNS = {
  cl_active: "Clients active", cl_waiting: "Clients waiting", sv_active: "Servers active", sv_idle: "Servers idle",
  sv_used: "Servers used", sv_login: "Servers logging in", maxwait: "Longest wait, s", pool_mode: "Mode",
  avg_xact_count: "Transactions/s", avg_query_count: "Queries/s", avg_xact_time: "Mean transaction, µs",
  avg_query_time: "Mean query, µs", avg_wait_time: "Mean wait, µs", avg_recv: "Received, bytes/s", avg_sent: "Sent, bytes/s",
  total_xact_count: "Transactions", total_query_count: "Queries", pool_size: "Pool size", max_connections: "Most connections",
  current_connections: "Connections", database: "Database", user: "User", name: "Name", host: "Host", port: "Port", paused: "Paused",
};

// PgBouncer's own tables, whatever columns its version has.
function bouncer() {
  const tables = new Map();
  const inner = el("div", { class: "items" });
  const problem = el("p", { class: "card bad" });
  inner.append(problem);
  const box = either(inner, empty("PgBouncer is not asked", "Set HARDEN_PGBOUNCER_DSN to its console, and its pools and traffic appear here."));
  return {
    name: "pgbouncer", title: "PgBouncer", element: box,
    badge: (data) => (data.pgbouncer && data.pgbouncer.error ? "!" : 0), alarms: () => true,
    show(data) {
      box.choose(Boolean(data.pgbouncer));
      setText(problem, (data.pgbouncer && data.pgbouncer.error) || "");
      problem.hidden = !problem.textContent;
      const lists = Object.entries(data.pgbouncer || {}).filter(([, rows]) => Array.isArray(rows) && rows.length);
      for (const [name, rows] of lists) {
        if (!tables.has(name)) {
          const columns = Object.keys(rows[0]).map((column, at) => ({ label: COLUMNS[column] || words(column), short: true,
            number: at > 0 && column !== "port" && typeof rows[0][column] === "number", text: (row) => (column === "port" ? String(row[column]) : shownValue(row[column])) }));
          const table = new Table(`SHOW ${words(name).toUpperCase()}`, columns, (row) => Object.values(row).slice(0, 3).join(" "));
          tables.set(name, table);
          inner.append(el("div", { class: "card scroll", tabindex: "0", role: "region", "aria-label": words(name) }, table.element));
        }
        tables.get(name).show(rows);
      }
    },
  };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

function tile(label, hasSparkline) {
  const value = el("span");
  const unit = el("span", { class: "unit" });
  const more = el("span", { class: "more" });
  const graph = hasSparkline ? makeSparkline() : makeBar();
  const element = el("div", { class: "card tile" }, el("dt", { text: label }), el("dd", {}, value, unit), el("dd", { class: "more" }, more, graph));
  return { element, graph, set(number, ofWhat, rest, alarm = "") {
    setText(value, number);
    setText(unit, ofWhat);
    setText(more, rest);
    value.className = alarm;
  } };
}

const several = (number, singular, plural) => `${count(number)} ${number === 1 ? singular : plural}`;

// What a person on call wants to know first, in sentences; each leads to its part.
function worries(data) {
  const { service, now } = data;
  const found = [];
  const silent = data.workers.filter((row) => row.is_stale).length;
  const cut = data.workers.filter((row) => row.health !== "ok").length;
  const repeats = data.incidents.filter((row) => now - row.last < 600);
  const late = data.slow.filter((row) => now - row.last < 600);
  const errors = sum(data.series.errors);
  if (cut) found.push(["bad", "workers", `${count(cut)} of ${count(service.workers)} workers cannot reach the database`]);
  if (service.waiting) found.push(["bad", "pools", `${several(service.waiting, "caller waits", "callers wait")} for a connection; see who holds them`]);
  if (errors) found.push(["bad", "requests", `${several(errors, "request", "requests")} failed in the last five minutes`]);
  if (silent) found.push(["bad", "workers", `${several(silent, "worker has", "workers have")} not said anything for a while`]);
  if (repeats.length) found.push(["warn", "repeats", `${several(repeats.length, "loop of queries (N+1) was", "loops of queries (N+1) were")} seen in the last ten minutes`]);
  if (late.length) found.push(["warn", "slow", `${several(late.length, "statement was", "statements were")} slow in the last ten minutes`]);
  return found;
}

function overview(choose) {
  const tiles = {
    requests: tile("Requests", true), p95: tile("95 % answered within", true), errors: tile("Errors", true), queries: tile("Queries", true),
    used: tile("Connections in use", false), waiting: tile("Callers waiting", false), processor: tile("Processor", false), memory: tile("Memory", false),
  };
  for (const name of ["waiting", "memory"]) tiles[name].graph.hidden = true;
  const attention = el("ul", { class: "attention" });
  const list = new Keyed(attention, ([, , text]) => text.replace(/\d/g, ""),
    ([kind, part]) => el("li", { class: kind }, part ? el("a", { href: `#${part}`, on: { click: (event) => {
      event.preventDefault();
      choose(part);
      document.getElementById(`tab-${part}`).focus();
    } } }) : el("span")),
    (element, [, , text]) => setText(element.firstChild, text));
  const lines = el("div");
  const gauges = new Keyed(lines, (row) => `${row.worker} ${row.number}`,
    () => el("div", { class: "poolline" }, el("span"), makeBar(), el("span")),
    (element, row) => {
      setText(element.children[0], `${row.pid} ${row.name}`);
      setBar(element.children[1], row.used / (row.maxconn || 1));
      setText(element.children[2], `${count(row.used)} of ${count(row.maxconn)}${row.waiting ? `, ${count(row.waiting)} waiting` : ""}`);
      element.children[2].className = row.waiting ? "bad" : "dim";
    });
  const noPools = el("p", { class: "dim", text: "No worker has used its pool so far." });
  const top = new Table("Queries with the most time", [statement,
    { label: "Runs", number: true, text: (row) => count(row.count) },
    { label: "Total time", number: true, text: (row) => duration(row.seconds) },
    { label: "Mean", number: true, text: (row) => duration(row.mean) }], byStatement);
  const noQueries = empty("No queries so far", "Ask the app for a page that uses the database, and watch this space.");
  const topOrNot = either(el("div", { class: "card" }, top.element), noQueries);
  return {
    name: "overview", title: "Overview",
    element: el("div", { class: "items" },
      el("section", { class: "card", "aria-labelledby": "attention" }, el("h2", { id: "attention", text: "Needs attention" }), attention),
      el("dl", { class: "tiles" }, ...Object.values(tiles).map((each) => each.element)),
      el("section", { class: "card", "aria-labelledby": "gauges" }, el("h2", { id: "gauges", text: "Connections by worker" }), lines, noPools),
      topOrNot),
    show(data) {
      noteProcessors(data);
      const { service, series } = data;
      const found = worries(data);
      list.show(found.length ? found : [["good", "", "Nothing. All is well as far as can be seen from here."]]);
      const whole = series.requests.slice(-13, -1); // the last minute, without the point that is not over yet
      const [value, unit] = durationParts(service.p95);
      const flight = service.in_flight ? `${count(service.in_flight)} in flight, oldest ${duration(service.oldest_request)}` : "none in flight";
      tiles.requests.set(one(sum(whole) / (series.step * 12)), "per second", `${count(service.requests)} in all, ${flight}`);
      tiles.p95.set(service.p95 ? value : "–", service.p95 ? unit : "", service.p95 ? `half within ${duration(service.p50)}, last 5 min` : "no requests in the last 5 min");
      tiles.errors.set(count(sum(series.errors)), "in 5 min", `${count(service.errors)} in all`, sum(series.errors) ? "bad" : "");
      tiles.queries.set(one(sum(series.queries.slice(-13, -1)) / (series.step * 12)), "per second",
        service.requests ? `${one(service.queries / service.requests)} a request` : "none so far");
      for (const name of ["requests", "p95", "errors", "queries"]) setSparkline(tiles[name].graph, series[name].slice(0, -1));
      tiles.errors.graph.classList.toggle("alarm", sum(series.errors) > 0);
      tiles.used.set(count(service.used), `of ${count(service.maxconn)}`, `${count(service.idle)} idle`);
      setBar(tiles.used.graph, service.used / (service.maxconn || 1));
      tiles.waiting.set(count(service.waiting), "", service.waiting ? "for a connection, right now" : "nobody waits for a connection", service.waiting ? "bad" : "");
      const shares = data.workers.map((row) => share.get(row.worker)).filter((each) => each !== undefined);
      tiles.processor.set(shares.length ? percent(sum(shares)) : "–", shares.length ? "of one core" : "", `${count(service.threads)} threads in ${count(service.workers)} processes`);
      setBar(tiles.processor.graph, sum(shares) / Math.max(1, data.workers.length));
      tiles.memory.set(bytes(service.rss_bytes), "", `${bytes(service.rss_bytes / Math.max(1, service.workers))} a worker`);
      gauges.show(data.pools.slice(0, 32));
      noPools.hidden = data.pools.length > 0;
      topOrNot.choose(data.queries.length > 0);
      top.show(data.queries.slice(0, 5));
    },
  };
}
