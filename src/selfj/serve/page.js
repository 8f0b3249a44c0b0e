"use strict";
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const KEEP = 200;
const state = { last: 0, rows: [], day: null, curve: null, histogram: null, drift: null, moved: false, paused: false, key: "", waiting: [], minQuality: 5 };

function el(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside.filter((part) => part !== null));
  return made;
}
function draw(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
const percent = (x, digits = 0) => (x === null || x === undefined || Number.isNaN(x) ? "–" : `${(100 * x).toFixed(digits)} %`);
const fine = (x) => percent(x, x !== null && x > 0 && x < 0.0995 ? 1 : 0);
const number = (x, digits = 2) => (x === null || x === undefined ? "–" : x.toFixed(digits));
const count = (x) => x.toLocaleString("en");
const raised = (x) => [...String(x)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
const power = (v) => (Math.abs(v) > 3 ? `10${raised(v)}` : v < 0 ? `1/${count(10 ** -v)}` : count(10 ** v));
const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false });

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  const key = state.key;
  if (key) headers.Authorization = `Bearer ${key}`;
  const reply = await fetch(path, { ...options, headers, cache: "no-store" });
  // A late refusal of the key before says nothing about this one.
  if (reply.status === 401 && key === state.key) { $("keys").hidden = false; if (key) $("key-note").textContent = "That key was not taken."; }
  return reply;
}
async function read(path) {
  const reply = await ask(path);
  if (!reply.ok) throw new Error(`${reply.status}`);
  return reply.json();
}

/* Polling: each part at its own pace; twice as slow after each failure, and not at all while nobody looks. */
function poll(seconds, work) {
  let wait = seconds, timer = 0, busy = false, asked = false;
  async function turn(now) {
    if (now === true) wait = seconds;
    if (busy) { asked = asked || now === true; return; }
    clearTimeout(timer);
    if (document.hidden) return;
    busy = true;
    try { await work(); wait = seconds; live(true); } catch (error) { wait = Math.min(60, wait * 2); live(false, error); }
    busy = false;
    // Whoever asked meanwhile wants what is true now.
    if (asked) { asked = false; turn(true); } else timer = setTimeout(turn, 1000 * wait * (0.9 + 0.2 * Math.random()));
  }
  document.addEventListener("visibilitychange", turn);
  turn();
  return turn;
}
function live(on, error) {
  $("state").className = on ? "on" : "off";
  const why = error && error.message === "401" ? "needs a key" : error && error.message === "503" ? "store unavailable" : "not reached";
  $("state").textContent = on ? (state.paused ? "paused" : "live") : `${why}, trying again`;
}

/* Decisions */
async function decisions() {
  const found = await read(`/selfj/decisions?after=${state.last}&limit=${KEEP}`);
  state.day = found.day; state.last = found.last; state.minQuality = found.min_quality;
  numbers();
  if (!found.decisions.length) return;
  state.waiting = [...found.decisions, ...state.waiting].slice(0, KEEP);
  if (!state.paused) show();
}
function show() {
  const first = !state.rows.length;
  const fresh = state.waiting;
  state.waiting = [];
  state.rows = [...fresh, ...state.rows].slice(0, KEEP);
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.id : null;
  const body = $("rows"), top = $("live").scrollTop, high = body.offsetHeight;
  for (const row of [...fresh].reverse()) body.prepend(line(row, !first));
  while (body.children.length > KEEP) body.lastChild.remove();
  filter();
  if (top > 0) $("live").scrollTop = top + body.offsetHeight - high;
  if (focused) { const again = body.querySelector(`[data-id="${CSS.escape(focused)}"]`); if (again) again.focus({ preventScroll: true }); }
  const models = [...new Set(state.rows.map((row) => row.model))].slice(0, 20);
  $("models").replaceChildren(...models.map((name) => el("option", { value: name })));
  if (!$("model").value && models[0]) $("model").value = models[0];
}
function word(row) {
  const words = { answer: "answered", decline: "declined", pass: "passed", error: "error", abandoned: "abandoned" };
  return el("span", { class: `word ${row.action}` }, words[row.action] || row.action, row.observed ? el("small", {}, "observed") : null);
}
function dial(row) {
  const box = document.createElementNS(SVG, "svg");
  box.setAttribute("class", "dial"); box.setAttribute("viewBox", "0 0 110 12"); box.setAttribute("aria-hidden", "true");
  draw(box, "rect", { class: "back", x: 0, y: 3, width: 110, height: 6, rx: 3 });
  if (row.score !== null) draw(box, "rect", { class: row.threshold !== null && row.score >= row.threshold ? "fill in" : "fill", x: 0, y: 3, width: (row.score / 9) * 110, height: 6, rx: 3 });
  if (row.threshold !== null) draw(box, "line", { x1: (row.threshold / 9) * 110, x2: (row.threshold / 9) * 110, y1: 0, y2: 12 });
  return box;
}
function verdictWord(value) {
  if (value === null) return "";
  return el("span", { class: value < state.minQuality ? "bad" : "good" }, `${value < state.minQuality ? "bad" : "good"}${value === 0 || value === 9 ? "" : ` ${value.toFixed(1)}`}`);
}
function line(row, fresh) {
  const made = el("tr", { tabindex: "-1", "data-id": row.id, class: fresh ? "fresh" : "", onclick: () => open(row.id) },
    el("td", { title: new Date(row.at * 1000).toISOString() }, clock(row.at)), el("td", { class: "left" }, word(row)), el("td", {}, number(row.score)),
    el("td", { class: "meter-cell left" }, dial(row)), el("td", { class: "left model", title: row.model }, row.model), el("td", { class: "left step" }, row.step),
    el("td", { class: "time" }, `${number(row.total_ms, 0)} ms`), el("td", { class: "verdict" }, verdictWord(row.feedback)));
  made.row = row;
  return made;
}
function filter() {
  const wanted = $("filter").value;
  let shown = 0, holder = null;
  for (const tr of $("rows").children) {
    const row = tr.row;
    tr.hidden = wanted === "unsaid" ? row.feedback !== null : wanted !== "" && row.action !== wanted;
    if (tr.hidden) continue;
    shown += 1;
    if (tr.tabIndex === 0 && !holder) holder = tr; else tr.tabIndex = -1;
  }
  const first = visible()[0];
  if (!holder && first) first.tabIndex = 0;
  $("empty").hidden = shown > 0;
  $("rows").parentElement.hidden = !shown;
  if (state.rows.length && !shown) $("empty").textContent = "None of the decisions here are of this kind.";
}
const visible = () => [...$("rows").children].filter((tr) => !tr.hidden);
function move(by) {
  const rows = visible();
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement);
  const to = rows[Math.max(0, Math.min(rows.length - 1, here < 0 ? (by > 0 ? 0 : rows.length - 1) : here + by))];
  for (const tr of rows) tr.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

/* Numbers at the top */
function numbers() {
  const day = state.day;
  if (day) {
    const all = Object.values(day.actions).reduce((a, b) => a + b, 0), a = day.actions;
    $("n-all").textContent = count(all);
    $("n-all-note").textContent = `${count(a.decline || 0)} declined, ${count(a.pass || 0)} passed, ${count(a.error || 0)} errors${day.observed ? `; ${count(day.observed)} observed only` : ""}`;
    const judged = (a.answer || 0) + (a.decline || 0);
    $("n-answered").textContent = judged ? fine((a.answer || 0) / judged) : "–";
    $("n-answered-note").textContent = `of ${count(judged)} judged`;
    $("n-ms").textContent = day.judge_ms === null ? "–" : `${day.judge_ms < 10 ? day.judge_ms.toFixed(1) : Math.round(day.judge_ms)} ms`;
    $("n-ms-note").textContent = day.total_ms === null ? "" : `on average, of ${Math.round(day.total_ms)} ms in all`;
  }
  const drift = state.drift;
  if (drift) {
    const n = drift.risk.n;
    $("n-bad").textContent = n ? fine(drift.failures / n) : "–";
    $("n-bad").className = `big${drift.alarm ? " bad" : ""}`;
    $("n-bad-note").textContent = n ? `${fine(drift.low)} to ${fine(drift.high)}, by ${count(n)} verdicts with this threshold; promised at most ${fine(drift.max_risk)}` : "no verdict with this threshold yet";
  }
}

/* Charts */
function frame(svg, left, right, top, bottom, xs, ys, xText, yText) {
  svg.replaceChildren();
  // As wide as it is shown, so that letters keep their size on a telephone.
  const height = Number(svg.getAttribute("viewBox").split(" ")[3]), width = Math.max(240, Math.min(640, svg.clientWidth || 480));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const x = (v) => left + ((v - xs.low) / (xs.high - xs.low || 1)) * (width - left - right);
  const y = (v) => height - bottom - ((v - ys.low) / (ys.high - ys.low || 1)) * (height - top - bottom);
  for (const v of ys.ticks) { draw(svg, "line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }); draw(svg, "text", { x: left - 7, y: y(v) + 4, "text-anchor": "end" }, ys.write(v)); }
  for (const v of xs.ticks) draw(svg, "text", { x: x(v), y: height - bottom + 17, "text-anchor": xs.write(v).length > 1 && v > xs.high - (xs.high - xs.low) / 40 ? "end" : "middle" }, xs.write(v));
  draw(svg, "line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom });
  draw(svg, "text", { x: width - right, y: height - 4, "text-anchor": "end" }, xText);
  draw(svg, "text", { x: 2, y: 12 }, yText);
  return { x, y, left, right: width - right, top, bottom: height - bottom };
}
function ticks(low, high, about) {
  const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) || 1;
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) found.push(Math.abs(v) < 1e-12 ? 0 : v);
  return found;
}
const path = (xs, ys, at) => xs.map((v, i) => `${i ? "L" : "M"}${at.x(v).toFixed(1)} ${at.y(Math.min(ys[i], at.most)).toFixed(1)}`).join("");
/* What a threshold does with some exchanges: exact, at each hundredth and at the one in use. */
function at(known, value) {
  const table = known.table, last = table.answered.length - 1;
  const place = state.moved ? Math.max(0, Math.round(100 * value) - table.first) : last;
  const there = !state.moved || place < last, answered = there ? table.answered[place] : 0;
  return {
    coverage: known.n ? answered / known.n : null, answered,
    risk: answered ? table.failures[place] / answered : null, bound: answered && table.bound ? table.bound[place] : null,
  };
}

function threshold() {
  const curve = state.curve;
  if (!curve) return;
  if (!state.moved) $("slider").value = curve.threshold === null ? 9 : curve.threshold;
  const value = state.moved ? Number($("slider").value) : curve.threshold === null ? 9 : curve.threshold;
  $("slider-value").textContent = value.toFixed(2);
  $("slider-back").hidden = !state.moved || curve.threshold === null;
  const here = at(curve.calibration, value), said = at(curve.feedback, value), then = at(curve.live, value);
  const answered = curve.live.table.answered, now = answered[answered.length - 1];
  const change = !curve.live.n ? "no score in 24 hours" : then.answered === now ? `of ${count(curve.live.n)} scored decisions in 24 hours` : `of ${count(curve.live.n)} in 24 hours; ${fine(now / curve.live.n)} with the one in use`;
  const bound = here.risk === null ? "no calibration exchange scores this high" : `on calibration, ${fine(here.coverage)} answered; at most ${fine(here.bound)} for this threshold alone`;
  const last = !curve.feedback.n ? "no verdict yet" : said.risk === null ? "no decision with a verdict scores this high" : `of ${count(said.answered)} with a verdict${curve.feedback.declined ? "" : ", all of them answered"}`;
  const block = (big, small) => el("div", {}, el("b", {}, big), el("span", {}, small));
  $("would").replaceChildren(block(`${fine(then.coverage)} answered`, change), block(`${fine(here.risk)} bad`, curve.calibration.n ? bound : "calibration rows are not in the run's folder"), block(`${fine(said.risk)} bad`, last));
  $("slider").setAttribute("aria-valuetext", `${value.toFixed(2)}: ${fine(then.coverage)} answered, ${fine(here.risk)} bad on calibration`);
  drawCurve(value, here);
  drawHistogram(value);
}
function drawCurve(value, here) {
  const curve = state.curve, cal = curve.calibration, said = curve.feedback;
  const worst = Math.max(0.05, curve.max_risk ? curve.max_risk * 1.8 : 0, ...cal.risk.map((v, i) => (cal.coverage[i] > 0.05 ? v : 0)), ...said.risk.map((v, i) => (said.coverage[i] > 0.1 ? v : 0)));
  const top = Math.min(1, worst * 1.12);
  const f = frame($("curve"), 46, 12, 24, 36, { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], write: (v) => percent(v) }, { low: 0, high: top, ticks: ticks(0, top, 4), write: (v) => percent(v, top < 0.1 ? 1 : 0) }, "answered", "bad among the answered");
  f.most = top;
  const svg = $("curve");
  if (cal.n) { draw(svg, "path", { class: "bound", d: path(cal.coverage, cal.bound, f) }); draw(svg, "path", { class: "line", d: path(cal.coverage, cal.risk, f) }); }
  if (said.n) draw(svg, "path", { class: "other", d: path(said.coverage, said.risk, f) });
  if (curve.max_risk) { draw(svg, "line", { class: "limit", x1: f.left, x2: f.right, y1: f.y(curve.max_risk), y2: f.y(curve.max_risk) }); draw(svg, "text", { class: "limit-text", x: f.left + 4, y: f.y(curve.max_risk) - 5 }, `promised at most ${percent(curve.max_risk)}`); }
  if (here.risk !== null) { draw(svg, "line", { class: "mark", x1: f.x(here.coverage), x2: f.x(here.coverage), y1: f.top, y2: f.bottom }); draw(svg, "circle", { cx: f.x(here.coverage), cy: f.y(Math.min(top, here.risk)), r: 5 }); }
  if (cal.n) draw(svg, "text", { class: "judge-text", x: f.right, y: 12, "text-anchor": "end" }, said.n ? "calibration" : "calibration, bound dashed");
  if (said.n) draw(svg, "text", { class: "other-text", x: f.right - 82, y: 12, "text-anchor": "end" }, "verdicts");
  $("curve-note").textContent = here.risk === null ? "No calibration exchange reaches this threshold." : `At ${value.toFixed(2)}, ${fine(here.coverage)} of the calibration exchanges are answered and ${fine(here.risk)} of those are bad. The dashed line is the upper bound.`;
}
function drawHistogram(value) {
  const h = state.histogram;
  if (!h) return;
  const top = 1.1 * Math.max(0.02, ...h.live, ...h.calibration), svg = $("histogram");
  const f = frame(svg, 46, 12, 24, 36, { low: 0, high: 9, ticks: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], write: String }, { low: 0, high: top, ticks: ticks(0, top, 4), write: (v) => percent(v, top < 0.05 ? 1 : 0) }, "score", "share of decisions");
  const wide = f.x(h.edges[1]) - f.x(h.edges[0]);
  h.live.forEach((v, i) => v && draw(svg, "rect", { class: h.edges[i] + 0.125 >= value ? "bar-live in" : "bar-live", x: f.x(h.edges[i]) + 0.75, width: wide - 1.5, y: f.y(v), height: f.bottom - f.y(v) }));
  if (h.calibration_n) draw(svg, "path", { class: "outline", d: `M${f.x(0)} ${f.bottom}` + h.calibration.map((v, i) => `V${f.y(v).toFixed(1)}H${f.x(h.edges[i + 1]).toFixed(1)}`).join("") + `V${f.bottom}` });
  const now = state.curve.threshold;
  if (now !== null && Math.abs(now - value) > 0.02) draw(svg, "line", { class: "now", x1: f.x(now), x2: f.x(now), y1: f.top, y2: f.bottom });
  draw(svg, "line", { class: "mark", x1: f.x(value), x2: f.x(value), y1: f.top, y2: f.bottom });
  draw(svg, "text", { class: "judge-text", x: f.right - 82, y: 12, "text-anchor": "end" }, "24 hours");
  if (h.calibration_n) draw(svg, "text", { class: "other-text", x: f.right, y: 12, "text-anchor": "end" }, "calibration");
  const live = h.live_n ? `${count(h.live_n)} scores of the last 24 hours, mean ${number(h.live_mean)}` : "No score in the last 24 hours";
  $("histogram-note").textContent = `${live}; ${count(h.calibration_n)} of calibration, mean ${number(h.calibration_mean)}. What reaches the threshold is drawn stronger.`;
}
function drawBet(svg, note, bet, what) {
  const points = [[0, 0], ...bet.points, [bet.n, bet.log_wealth]], tens = (v) => v / Math.LN10;
  const values = points.map((p) => tens(p[1])), alarm = tens(bet.alarm_log);
  const low = Math.min(-1, Math.floor(Math.min(...values))), high = Math.max(alarm + 0.4, Math.max(...values) * 1.05), most = Math.max(1, bet.n);
  const f = frame(svg, 46, 12, 22, 34, { low: 0, high: most, ticks: ticks(0, most, 5).filter((v) => Number.isInteger(v)), write: count }, { low, high, ticks: ticks(low, high, 4).filter((v) => Number.isInteger(v)), write: power }, what, "wealth");
  f.most = high;
  draw(svg, "line", { class: "limit", x1: f.left, x2: f.right, y1: f.y(alarm), y2: f.y(alarm) });
  draw(svg, "text", { class: "limit-text", x: f.left + 4, y: f.y(alarm) - 5 }, `alarm at ${Math.round(Math.exp(bet.alarm_log))}`);
  draw(svg, "path", { class: "line", d: path(points.map((p) => p[0]), values, f) });
  if (bet.alarm_at) draw(svg, "line", { class: "mark", x1: f.x(bet.alarm_at), x2: f.x(bet.alarm_at), y1: f.top, y2: f.bottom });
  note.textContent = !bet.n ? `Nothing yet to bet on. The alarm is raised at a wealth of ${Math.round(1 / bet.alpha)}.` : bet.alarm_at ? `Reached the alarm at number ${count(bet.alarm_at)}. It is not taken back.` : `Wealth now ${Math.exp(bet.log_wealth).toPrecision(2)}; the alarm is raised at ${Math.round(1 / bet.alpha)}. A false alarm ever has a chance of at most ${percent(bet.alpha)}, however often one looks.`;
}
function showDrift() {
  const drift = state.drift;
  $("drift-words").replaceChildren(...drift.sentences.map((text) => el("li", {}, text)));
  $("alarm").hidden = !drift.alarm;
  if (drift.alarm && $("alarm").textContent !== drift.sentences[0]) $("alarm").replaceChildren(el("p", {}, drift.sentences[0]));
  document.title = `${drift.alarm ? "⚠ " : ""}${state.curve ? state.curve.name : "selfj"} · gateway`;
  drawBet($("drift-risk"), $("risk-note"), drift.risk, "answers with a verdict");
  drawBet($("drift-scores"), $("scores-note"), drift.scores, "scores");
  numbers();
}
async function slow() {
  [state.curve, state.histogram, state.drift] = await Promise.all([read("/selfj/curve"), read("/selfj/histogram"), read("/selfj/drift")]);
  const curve = state.curve;
  $("name").textContent = curve.name;
  $("promise").textContent = curve.threshold === null ? `Everything is declined: ${curve.infeasible || "there is no threshold"}` : `Answers from a score of ${curve.threshold.toFixed(2)} of 9, with the promise that at most ${percent(curve.max_risk)} of the answers are bad (confidence ${percent(curve.confidence)}).`;
  threshold();
  showDrift();
}

/* One decision in full */
let shownId = null;
async function open(id) {
  const reply = await ask(`/selfj/decision/${encodeURIComponent(id)}`);
  $("found").textContent = reply.ok ? "" : reply.status === 404 ? "There is none." : `Refused (${reply.status}).`;
  if (!reply.ok) return;
  const row = await reply.json();
  shownId = row.id;
  $("one-title").replaceChildren(word(row), ` · ${number(row.score)} of 9`);
  $("one-body").replaceChildren(...body(row), say(row.id), ...verdicts(row), facts(row));
  history.replaceState(null, "", `#${encodeURIComponent(row.id)}`);
  if (!$("one").open) $("one").showModal();
}
function body(row) {
  if (row.body === null) return [el("p", { class: "said none" }, row.body_digest ? "The text was kept and has been removed since." : "The text was not kept.")];
  let parts = [["Text", row.body]];
  try { const found = JSON.parse(row.body); if (found && typeof found === "object" && !Array.isArray(found)) parts = Object.entries(found).map(([name, text]) => [name, typeof text === "string" ? text : JSON.stringify(text, null, 1)]); } catch { /* plain text */ }
  return parts.flatMap(([name, text]) => [el("h3", {}, name[0].toUpperCase() + name.slice(1)), el("div", { class: "said", tabindex: "0" }, text)]);
}
function say(id) {
  const comment = el("input", { placeholder: "Comment", "aria-label": "Comment", maxlength: 4000 });
  const send = (good) => (event) => { event.preventDefault(); verdict(id, good, comment.value); };
  return el("div", { class: "tools" }, el("button", { type: "button", class: "is-good", onclick: send(true) }, "Good ", el("kbd", {}, "g")), el("button", { type: "button", class: "is-bad", onclick: send(false) }, "Bad ", el("kbd", {}, "b")), comment, el("span", { class: "hint", id: "said", role: "status" }));
}
async function verdict(id, good, comment = "") {
  const reply = await ask("/v1/feedback", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ decision_id: id, good, comment }) });
  const found = await reply.json().catch(() => ({}));
  if (!reply.ok) { const text = found.error ? found.error.message : `Refused (${reply.status}).`; if ($("said")) $("said").textContent = text; $("state").textContent = text; return; }
  for (const tr of $("rows").children) if (tr.dataset.id === id) { tr.row.feedback = good ? 9 : 0; tr.querySelector(".verdict").replaceChildren(verdictWord(tr.row.feedback)); }
  if ($("one").open && shownId === id) await open(id);
  if ($("said")) $("said").textContent = "Thank you, kept.";
  again();
}
function verdicts(row) {
  if (!row.feedback.length) return [];
  return [el("h3", {}, "Verdicts"), el("ul", { class: "summary flat" }, ...row.feedback.map((v) => el("li", {}, verdictWord(v.quality !== null ? v.quality : v.good ? 9 : 0), ` ${v.who || "unnamed"}, ${new Date(v.at * 1000).toLocaleString()}${v.comment ? `: ${v.comment}` : ""}`)))];
}
function facts(row) {
  const words = [["Reason", row.reason], ["Threshold", number(row.threshold)], ["Label mass", number(row.label_mass, 3)], ["Step", `${row.step}${row.attempts > 1 ? `, ${row.attempts} answers asked for` : ""}`], ["Model", row.model], ["Time", `${number(row.total_ms, 1)} ms (upstream ${number(row.upstream_ms, 1)} ms, judge ${number(row.judge_ms, 1)} ms)`], ["When", new Date(row.at * 1000).toISOString()], ["Language", row.language || "–"], ["Route", row.route], ["Decision", row.id], ["Request", row.request_id], ["Judge", row.judge_digest ? `${row.judge}, digest ${row.judge_digest}` : row.judge], ["Chain", `${count(row.position)}th, ${row.fault ? `not as written: ${row.fault}` : "as it was written"}`], ["Hash", row.hash]];
  return el("dl", { class: "words" }, ...words.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { class: name === "Chain" && row.fault ? "bad" : "" }, value)]));
}

/* Try it */
async function tryIt(event) {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || $("ask").disabled) return;
  $("ask").disabled = true; $("asked").textContent = "asking"; $("reply").hidden = true;
  await models();
  const began = performance.now();
  try {
    const reply = await ask("/v1/chat/completions", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ model: $("model").value, messages: [{ role: "user", content: question }] }) });
    const found = await reply.json().catch(() => null);
    const text = found && found.choices ? found.choices[0].message.content : found && found.error ? found.error.message : `The gateway replied with ${reply.status}.`;
    $("reply").replaceChildren(...decided(reply.headers, found && found.selfj), el("div", { class: "said" }, text));
    $("reply").hidden = false;
    $("asked").textContent = `${Math.round(performance.now() - began)} ms`;
    again();
  } catch { $("asked").textContent = "The gateway was not reached."; }
  $("ask").disabled = false;
}

/* The gateway's own words on a reply; none where it did not come so far. */
function decided(headers, inBody) {
  const told = (name) => headers.get(`x-selfj-${name}`), figure = (name) => (told(name) === null || told(name) === "" ? null : Number(told(name)));
  if (told("decision") === null) return [];
  const id = headers.get("x-request-id");
  const opener = id ? el("button", { type: "button", class: "quiet", onclick: () => open(id) }, "Open this decision") : null;
  const head = el("p", { class: "verdict-line" }, word({ action: told("decision"), observed: false }), ` · ${number(figure("score"))} of 9, threshold ${number(figure("threshold"))} `, opener);
  const reason = (inBody && inBody.reason) || told("reason");
  const step = `${reason}${told("step") && told("step") !== told("decision") ? `, step ${told("step")}` : ""}${figure("attempts") > 1 ? `, ${told("attempts")} answers asked for` : ""}`;
  return [head, el("p", { class: "hint" }, `Reason: ${step}. Label mass ${number(figure("label-mass"), 3)}. ${told("judge") ? `Judge ${told("judge")}.` : ""}`)];
}

/* A new gateway has no decision to learn a model's name from; its upstream may tell one. */
async function models() {
  if ($("model").value) return;
  const found = await read("/v1/models").catch(() => null);
  const names = found && Array.isArray(found.data) ? found.data.map((model) => String(model.id)).slice(0, 20) : [];
  if (!$("models").children.length) $("models").replaceChildren(...names.map((name) => el("option", { value: name })));
  if (!$("model").value && names[0]) $("model").value = names[0];
}

/* Hands */
addEventListener("resize", () => { threshold(); if (state.drift) showDrift(); });
$("slider").addEventListener("input", () => { state.moved = true; threshold(); });
$("slider-back").addEventListener("click", () => { state.moved = false; threshold(); $("slider").focus(); });
$("filter").addEventListener("change", filter);
$("find").addEventListener("submit", (event) => { event.preventDefault(); if ($("wanted").value.trim()) open($("wanted").value.trim()); });
$("try").addEventListener("submit", tryIt);
$("try").addEventListener("focusin", models, { once: true });
$("question").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) tryIt(event); });
$("keys").addEventListener("submit", (event) => { event.preventDefault(); state.key = $("key").value; $("key").value = ""; $("keys").hidden = true; $("key-note").textContent = ""; again(); });
$("one").addEventListener("close", () => { history.replaceState(null, "", location.pathname); const row = $("rows").querySelector(`[data-id="${CSS.escape(shownId || "")}"]`); if (row && document.activeElement === document.body) row.focus(); });
$("one").addEventListener("click", (event) => { if (event.target === $("one")) $("one").close(); });
function pause() {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", String(state.paused));
  if (!state.paused && state.waiting.length) show();
  live(true);
}
$("pause").addEventListener("click", pause);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=range]), textarea, select")) return;
  const row = document.activeElement.closest ? document.activeElement.closest("tr[data-id]") : null;
  const inOne = $("one").open, id = inOne ? shownId : row && row.dataset.id;
  const does = {
    j: () => !inOne && move(1), ArrowDown: () => row && !inOne && move(1), k: () => !inOne && move(-1), ArrowUp: () => row && !inOne && move(-1),
    Enter: () => row && !inOne && open(row.dataset.id), g: () => id && verdict(id, true), b: () => id && verdict(id, false), p: () => !inOne && pause(), t: () => !inOne && $("question").focus(),
  }[event.key];
  if (!does) return;
  if (does() !== null && (row || inOne || "jkpt".includes(event.key)) && !(event.key === "Enter" && !row)) event.preventDefault();
});
const turns = [poll(2, decisions), poll(6, slow)];
if (location.hash.length > 1 && location.hash !== "#live") open(decodeURIComponent(location.hash.slice(1)));
function again() { for (const turn of turns) turn(true); }
