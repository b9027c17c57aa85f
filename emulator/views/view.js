// Shows a replay: nothing is judged here, all words come with the data.  Texts reach the page as text nodes alone.
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const SIGN = { accept: "✓", drop: "✕", partial: "!", unsent: "–" };
const WORD = { accept: "accepted", drop: "blocked", partial: "blocked in part", unsent: "never sent" };
const data = JSON.parse($("data").textContent);
const ASK = data.flows.length ? "Choose a flow, a packet or an interface." : "Choose an interface.";
const state = { flow: -1, packet: -1, at: 0, playing: 0, told: 0, sort: [5, -1], interface: "", view: null };

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) key in node && key !== "list" ? (node[key] = value) : node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}
function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const bdi = (text) => el("bdi", {}, text);
const press = (node, act) => {
  node.addEventListener("click", act);
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(event); }
  });
};
const first = data.packets.length ? data.packets[0].time_ns : 0;
const clock = (ns) => { const ms = (ns - first) / 1e6; return ms < 10000 ? `${ms.toFixed(3)} ms` : `${(ms / 1000).toFixed(3)} s`; };
const ofFlow = data.flows.map(() => []);
data.packets.forEach((packet, place) => ofFlow[packet.flow].push(place));

// ---- the map
const scene = data.scene, root = svg("svg", { role: "group", "aria-label": `Map of ${data.title}`, tabindex: "0" });
const lanes = [], boxes = new Map(), movers = svg("g", { "aria-hidden": "true" });
const line = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${x} ${y}`).join("");
function words(text) {
  const node = svg("text", { x: text.x, y: text.y, "font-size": text.size, class: text.role, "text-anchor": text.anchor, "font-weight": text.bold ? 700 : 400 });
  node.textContent = text.text;
  return node;
}
function mark({ kind, x, y, radius: r, heading: [hx, hy] }) {
  const group = svg("g");
  if (kind === "arrow") group.append(svg("polygon", { class: "solid", points: [[x, y], ...[1, -1].map((s) => [x - hx * r * 1.7 - s * hy * r * 0.8, y - hy * r * 1.7 + s * hx * r * 0.8])].join(" ") }));
  else if (kind === "part") group.append(svg("polygon", { class: "solid", points: `${x},${y - r * 1.25} ${x + r * 1.25},${y} ${x},${y + r * 1.25} ${x - r * 1.25},${y}` }), svg("path", { class: "sign", d: `M${x} ${y - r * 0.6}v${r * 0.75}M${x} ${y + r * 0.4}v${r * 0.25}` }));
  else group.append(svg("circle", { class: "solid", cx: x, cy: y, r }));
  if (kind === "cross") { const a = r * 0.45; group.append(svg("path", { class: "sign", d: `M${x - a} ${y - a}L${x + a} ${y + a}M${x + a} ${y - a}L${x - a} ${y + a}` })); }
  return group;
}
const several = (numbers, side) => { const names = new Set(numbers.map((number) => data.flows[number][side][0])), [one] = names; return names.size > 1 ? `${one} and ${names.size - 1} more` : one; };
function laneOf(lane, place) {
  const flow = lane.flow, mine = data.flows.map((each, number) => (each.lane === place ? number : -1)).filter((number) => number >= 0);
  const group = svg("g", { class: `lane ${flow.verdict}` });
  const path = svg("path", { class: "line", d: line(lane.points), "stroke-width": lane.weight });
  group.append(svg("path", { class: "hit", d: line(lane.points) }), path, ...lane.marks.map(mark));
  if (place >= 0) {
    const one = data.flows[mine[0]];
    const told = one ? `${flow.label} from ${several(mine, "from")} to ${several(mine, "to")}: ${WORD[flow.verdict]}${one.reason ? `, ${one.reason.text}` : ""}` : flow.label;
    for (const [key, value] of Object.entries({ tabindex: 0, role: "button", "aria-label": told, "data-lane": place })) group.setAttribute(key, value);
    group.prepend(svg("title"));
    group.firstChild.textContent = told;
    press(group, () => (mine.length === 1 ? openFlow(mine[0]) : openLane(mine, flow)));
    lanes.push({ group, path, mine, died: lane.marks.find((each) => each.kind === "cross" || each.kind === "part"), length: 0 });
  }
  return group;
}
function drawMap() {
  const order = ["internet", "vpc", "zone", "router", "public", "private", "isolated"];
  const rank = (box) => (order.indexOf(box.kind) + 1 || (box.kind.match(/gw|pcx|vpce/) ? 20 : box.kind === "interface" ? 10 : 9));
  const sorted = [...scene.boxes].sort((one, other) => rank(one) - rank(other));
  const low = svg("g"), high = svg("g");
  for (const box of sorted) {
    const [x, y, width, height] = box.rect, node = svg("rect", { x, y, width, height, rx: 5, class: `box ${box.kind}` });
    boxes.set(box.id, node);
    (rank(box) === 20 ? high : low).append(node);
    if (data.interfaces[box.id]) {
      for (const [key, value] of Object.entries({ tabindex: 0, role: "button", "aria-label": `interface ${data.interfaces[box.id].name}`, "data-interface": box.id })) node.setAttribute(key, value);
      press(node, () => openInterface(box.id));
    }
  }
  const drawn = [];
  for (const tag of scene.tags) {
    const [x, y, width, height] = tag.rect, t = svg("text", { x: x + width / 2, y: y + height / 2 + tag.size * 0.36, "font-size": tag.size, "text-anchor": "middle", "font-weight": 700, class: "white", "pointer-events": "none" });
    t.textContent = tag.text;
    drawn.push([x, y, svg("g", { "pointer-events": "none" }, svg("rect", { x, y, width, height, rx: height / 2.4, class: `t${tag.colour < 0 ? -1 : tag.colour % 8}` }), t)]);
  }
  for (const text of scene.texts) { const node = words(text); node.setAttribute("pointer-events", "none"); if (text.role === "gate") high.append(node); else drawn.push([text.x, text.y, node]); }
  root.append(low, ...scene.links.map((points) => svg("path", { class: "link", d: line(points) })), ...drawn.map((each) => each[2]), ...scene.lanes.map(laneOf), ...scene.legend.map((lane) => laneOf(lane, -1)), high);
  for (const { rect: [x, y, width, height], text, size } of scene.labels) root.append(svg("rect", { x, y, width, height, rx: 2, fill: "var(--ground)", opacity: 0.88 }), words({ x: x + width / 2, y: y + height / 2 + size * 0.36, size, text, role: "l-accept", anchor: "middle" }));
  for (const { rect: [x, y, width, height], lines, target, verdict, size } of scene.callouts) {
    const near = [Math.min(Math.max(target[0], x), x + width), Math.min(Math.max(target[1], y), y + height)];
    root.append(svg("g", { class: verdict, "pointer-events": "none" }, svg("path", { d: line([near, target]), stroke: "currentColor" }), svg("rect", { x, y, width, height, rx: 3, class: "callout" }), ...lines.map(([text, bold], place) => words({ x: x + 6, y: y + 5 + size * 0.78 + place * (height - 8) / lines.length, size, text, bold, role: `l-${verdict}`, anchor: "start" }))));
  }
  root.append(movers);
  $("map").prepend(root);
  for (const lane of lanes) {
    lane.length = lane.path.getTotalLength();
    lane.stop = lane.length;
    if (lane.died) for (let s = 0, best = Infinity; s <= 100; s++) { const p = lane.path.getPointAtLength((lane.length * s) / 100), d = Math.hypot(p.x - lane.died.x, p.y - lane.died.y); if (d < best) { best = d; lane.stop = (lane.length * s) / 100; } }
  }
  folding(drawn);
  zoomTo(null);
}
function folding(drawn) {
  for (const box of scene.boxes.filter((each) => ["public", "private", "isolated"].includes(each.kind))) {
    const [x, y, w, h] = box.rect, node = boxes.get(box.id), inside = (px, py) => px >= x && px <= x + w && py > y + 20 && py <= y + h;
    const parts = [...drawn.filter(([px, py]) => inside(px, py)).map((each) => each[2]), ...scene.boxes.filter((each) => each !== box && inside(each.rect[0], each.rect[1])).map((each) => boxes.get(each.id))];
    const cards = parts.filter((part) => part.classList.contains("interface")).length;
    const note = svg("text", { x: x + w / 2, y: y + h / 2, "font-size": 9, "text-anchor": "middle", class: "folded" });
    note.textContent = `${cards} interface${cards === 1 ? "" : "s"} folded`;
    root.insertBefore(note, movers);
    for (const [key, value] of Object.entries({ tabindex: 0, role: "button", "aria-expanded": "true", "aria-label": `subnet ${data.names[box.id]}: fold or unfold` })) node.setAttribute(key, value);
    node.classList.add("fold-here");
    press(node, () => { const fold = note.classList.contains("folded"); parts.forEach((part) => part.classList.toggle("folded", fold)); note.classList.toggle("folded", !fold); node.setAttribute("aria-expanded", String(!fold)); });
  }
}
function zoomTo(view) { state.view = view || [0, 0, scene.width, scene.height]; root.setAttribute("viewBox", state.view.join(" ")); }
function zoom(by, px = 0.5, py = 0.5) {
  const [x, y, w, h] = state.view, width = Math.min(scene.width * 2, Math.max(scene.width / 30, w * by)), height = (h * width) / w;
  zoomTo([x + (w - width) * px, y + (h - height) * py, width, height]);
}
function moving() {
  let from = null;
  root.addEventListener("wheel", (event) => { if (!event.ctrlKey && document.activeElement !== root) return; event.preventDefault(); const r = root.getBoundingClientRect(); zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, (event.clientX - r.x) / r.width, (event.clientY - r.y) / r.height); }, { passive: false });
  root.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, ...state.view]; });
  addEventListener("pointermove", (event) => { if (!from) return; const scale = Math.max(from[4] / root.clientWidth, from[5] / root.clientHeight); zoomTo([from[2] - (event.clientX - from[0]) * scale, from[3] - (event.clientY - from[1]) * scale, from[4], from[5]]); });
  addEventListener("pointerup", () => { from = null; });
  root.addEventListener("keydown", (event) => {
    const [x, y, w, h] = state.view, shift = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (shift) zoomTo([x + shift[0] * w * 0.1, y + shift[1] * h * 0.1, w, h]); else if (event.key === "+") zoom(0.8); else if (event.key === "-") zoom(1.25); else if (event.key === "0") zoomTo(null); else return;
    event.preventDefault();
  });
  $("zoom").addEventListener("click", (event) => ({ in: () => zoom(0.8), out: () => zoom(1.25), fit: () => zoomTo(null) })[event.target.dataset.zoom]?.());
}

// ---- filters and the table
const needle = (flow) => [...flow.from.slice(0, 2), ...flow.to.slice(0, 2), flow.label, flow.reason?.code, flow.reason?.text].join(" ").toLowerCase();
const groupsOf = (flow) => [flow.from[3], flow.to[3]].flatMap((id) => (data.interfaces[id] ? data.interfaces[id].groups.map((group) => group.name) : []));
function matches(flow) {
  const text = $("search").value.trim().toLowerCase(), port = $("port").value.trim();
  return (!text || needle(flow).includes(text)) && (!$("verdict").value || flow.verdict === $("verdict").value) && (!$("reason").value || flow.reason?.code === $("reason").value)
    && (!$("group").value || groupsOf(flow).includes($("group").value)) && (!port || [flow.from[2], flow.to[2]].map(String).includes(port));
}
let shown = new Set();
function filter() {
  shown = new Set(data.flows.flatMap((flow, number) => (matches(flow) ? [number] : [])));
  for (const lane of lanes) lane.group.classList.toggle("off", lane.mine.length > 0 && !lane.mine.some((number) => shown.has(number)));
  const text = $("search").value.trim().toLowerCase();
  for (const [id, node] of boxes) node.classList.toggle("found", Boolean(text) && (data.names[id] || "").toLowerCase().includes(text));
  $("matching").textContent = `${shown.size.toLocaleString("en")} of ${data.flows.length.toLocaleString("en")} flows`;
  table();
  show();
}
const COLUMNS = [["", (f) => SIGN[f.verdict]], ["From", (f) => `${f.from[0]}${f.from[0] === f.from[1] ? "" : ` ${f.from[1]}`}`], ["To", (f) => `${f.to[0]}${f.to[0] === f.to[1] ? "" : ` ${f.to[1]}`}`], ["Service", (f) => f.label], ["Packets", (f) => f.packets], ["Dropped", (f) => f.dropped], ["Where", (f) => f.reason?.at ?? ""], ["Why", (f) => (f.reason ? `${f.reason.code}: ${f.reason.text}` : "")]];
function rowsNow() {
  const [column, way] = state.sort, value = COLUMNS[column][1];
  return [...shown].filter((number) => !$("blocked").checked || data.flows[number].dropped).sort((one, other) => { const a = value(data.flows[one]), b = value(data.flows[other]); return way * (typeof a === "number" ? a - b : String(a).localeCompare(String(b))) || one - other; });
}
function table() {
  const rows = rowsNow(), head = el("tr");
  COLUMNS.forEach(([name], place) => {
    const on = state.sort[0] === place, button = el("button", { type: "button" }, `${name || "Verdict"}${on ? (state.sort[1] > 0 ? " ▲" : " ▼") : ""}`);
    button.addEventListener("click", () => { state.sort = [place, on ? -state.sort[1] : 1]; table(); $("flows").querySelectorAll("th button")[place].focus(); });
    head.append(el("th", { scope: "col", "aria-sort": on ? (state.sort[1] > 0 ? "ascending" : "descending") : "none" }, button));
  });
  const body = el("tbody");
  for (const number of rows.slice(0, 500)) {
    const flow = data.flows[number], row = el("tr", { "data-flow": number, className: number === state.flow ? "here" : "" });
    COLUMNS.forEach(([, value], place) => {
      const told = value(flow);
      if (place === 0) { const button = el("button", { type: "button", className: flow.verdict, "aria-label": `${WORD[flow.verdict]}: ${flow.label} from ${flow.from[0]} to ${flow.to[0]}, show details` }, `${told} ${WORD[flow.verdict]}`); row.append(el("td", {}, button)); }
      else row.append(el("td", { className: typeof told === "number" ? "n" : "" }, typeof told === "number" ? told.toLocaleString("en") : bdi(told)));
    });
    row.addEventListener("click", () => openFlow(number));
    body.append(row);
  }
  $("flows").replaceChildren(el("thead", {}, head), body);
  $("left").textContent = [rows.length > 500 ? `${rows.length - 500} more rows match; filter to see them.` : "", data.left_out, rows.length ? "" : "No flow matches."].join(" ").trim();
}
async function copy() {
  const text = [COLUMNS.map(([name]) => name || "Verdict"), ...rowsNow().map((number) => COLUMNS.map(([, value]) => value(data.flows[number])))].map((row) => row.join("\t")).join("\n");
  try { await navigator.clipboard.writeText(text); } catch { const area = el("textarea", { value: text }); document.body.append(area); area.select(); document.execCommand("copy"); area.remove(); }
  $("copied").textContent = "copied";
}

// ---- the panel
function focusLane(number) {
  for (const lane of lanes) { const mine = number >= 0 && lane.mine.includes(number); lane.group.classList.toggle("here", mine); lane.group.classList.toggle("dim", number >= 0 && !mine); }
}
const panel = (...nodes) => { $("panel").replaceChildren(...nodes.filter(Boolean)); $("panel").scrollTop = 0; };
function steps(packet) {
  const list = el("ol", { className: "steps" });
  for (const step of data.ways[packet.way]) {
    const rules = step.rules.length ? el("details", { open: !step.passed }, el("summary", {}, `${step.rules.length + step.more} looked at`), el("ul", {}, ...step.rules.map(([name, fits, text, place]) => el("li", {}, `${fits ? "✓" : "✕"} `, bdi(text.startsWith(name) ? text : `${name}: ${text}`), place ? el("small", {}, " ", bdi(place)) : ""))), step.more ? el("p", {}, `and ${step.more} more`) : "") : "";
    list.append(el("li", { className: step.passed ? "" : "bad" }, el("b", {}, step.passed ? "✓ " : "✕ ", bdi(step.at)), ` · ${step.check} `, el("small", {}, step.stage), el("div", {}, bdi(step.text), step.place ? el("small", {}, " ", bdi(step.place)) : ""), rules));
  }
  return list;
}
const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
const flags = (packet) => FLAGS.filter((_, bit) => packet.header[4] & (1 << bit)).join(" ");
function headers(packet) {
  const [length, ttl, type, code, , offset, id] = packet.header, [source, sport, destination, dport] = packet.ends, icmp = data.flows[packet.flow].protocol.startsWith("icmp");
  const rows = [["time", clock(packet.time_ns)], ["source", `${source}${sport ? ` port ${sport}` : ""}`], ["destination", `${destination}${dport ? ` port ${dport}` : ""}`], ["protocol", data.flows[packet.flow].protocol], flags(packet) && ["flags", flags(packet)], icmp && ["type, code", `${type}, ${code}`], ["length", `${length} bytes`], ["time to live", ttl], offset && ["fragment", `${id} at ${offset}`]];
  return el("dl", {}, ...rows.filter(Boolean).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, bdi(value))]));
}
function openFlow(number, place = -1) {
  const flow = data.flows[number], mine = ofFlow[number], reason = flow.reason;
  Object.assign(state, { flow: number, interface: "", packet: place >= 0 ? place : (mine.find((each) => data.packets[each].verdict === "drop") ?? mine[0] ?? -1) });
  focusLane(number);
  const packet = data.packets[state.packet];
  const buttons = el("div", { className: "packets" }, ...mine.map((each) => { const one = data.packets[each], button = el("button", { type: "button", className: one.verdict, "data-packet": each, "aria-pressed": String(each === state.packet) }, `${SIGN[one.verdict]} ${one.forward ? "→" : "←"} ${flags(one) || one.index}`); button.addEventListener("click", () => { openFlow(number, each); seek(each + 0.8); $("panel").querySelector(`[data-packet="${each}"]`)?.focus(); }); return button; }));
  panel(el("h2", {}, bdi(flow.from[0]), " → ", bdi(flow.to[0]), " ", bdi(flow.label)), el("p", { className: flow.verdict }, el("b", {}, `${SIGN[flow.verdict]} ${WORD[flow.verdict]}`), ` · ${flow.accepted} passed, ${flow.dropped} dropped, ${flow.unsent} never sent`),
    reason && el("p", { id: "why" }, el("b", { className: "drop" }, reason.code), " at ", bdi(reason.at), ": ", bdi(reason.text)), reason?.nearest && el("p", {}, el("b", {}, "Nearest rule: "), bdi(reason.nearest.text), el("small", {}, " ", bdi(reason.nearest.place))), reason?.way_out && el("p", {}, el("b", {}, "Way out: "), bdi(reason.way_out)),
    packet && el("h3", {}, `Packet ${packet.index}: ${WORD[packet.verdict]}`), packet?.verdict === "unsent" && el("p", {}, bdi(packet.text)), packet && steps(packet), packet && el("h3", {}, "Headers"), packet && headers(packet), mine.length > 0 && el("h3", {}, `Packets${mine.length < flow.packets ? ` (${mine.length} of ${flow.packets})` : ""}`), mine.length > 0 && buttons);
  table();
  ladder(number);
}
function openLane(mine, line_) {
  const flow = data.flows[mine[0]];
  Object.assign(state, { flow: -1, interface: "" });
  focusLane(mine[0]);
  panel(el("h2", {}, bdi(several(mine, "from")), " → ", bdi(several(mine, "to")), " ", bdi(line_.label)), flow.reason && el("p", { id: "why" }, el("b", { className: "drop" }, flow.reason.code), " at ", bdi(flow.reason.at), ": ", bdi(flow.reason.text)), el("h3", {}, `${mine.length} flows`), el("ul", {}, ...mine.slice(0, 200).map((number) => { const each = data.flows[number], button = el("button", { type: "button", className: each.verdict }, `${SIGN[each.verdict]} `, bdi(each.label), " from ", bdi(each.from[0]), each.from[2] ? ` port ${each.from[2]}` : "", " to ", bdi(each.to[0])); button.addEventListener("click", () => openFlow(number)); return el("li", {}, button); })), mine.length > 200 && el("p", {}, `${(mine.length - 200).toLocaleString("en")} more; filter the table to see them.`));
}
function openInterface(id) {
  const eni = data.interfaces[id], moment = Math.max(0, Math.ceil(state.at) - 1), now = data.packets[moment]?.time_ns ?? 0, living = new Map();
  const stay = state.interface === id ? $("panel").scrollTop : 0;
  state.interface = id;
  if (state.at > 0) for (const [when, entry, step, expires] of data.moments) if (when <= moment && data.entries[entry].interface === id) step < 0 || expires <= now ? living.delete(entry) : living.set(entry, [step, expires]);
  const rows = [...living].map(([number, [step, expires]]) => { const e = data.entries[number]; return el("tr", {}, el("td", {}, e.number), el("td", {}, e.protocol), el("td", {}, `${e.source}:${e.source_port} → ${e.destination}:${e.destination_port}`), el("td", {}, ["open", "established", "stream"][step]), el("td", {}, `${((expires - now) / 1e9).toFixed(0)} s`), el("td", {}, bdi(e.rule ?? ""))); });
  const heads = (...names) => el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)));
  panel(el("h2", {}, bdi(eni.name)), el("p", {}, eni.addresses.join(", ")), data.packets.length > 0 && el("h3", {}, `Tracking table at ${clock(now)}`), !data.packets.length ? null : rows.length ? el("table", { id: "tracking" }, heads("#", "", "Connection", "State", "Left", "Opened by"), ...rows) : el("p", { className: "quiet" }, "No tracked connection at this moment."),
    ...eni.groups.flatMap((group) => [el("h3", {}, "Security group ", bdi(group.name)), group.description && el("p", {}, bdi(group.description)), el("table", {}, heads("", "Service", "Source or destination", ""), ...group.rules.map(([way, service, peer, told, place]) => el("tr", {}, el("td", {}, way), el("td", {}, service), el("td", {}, bdi(peer)), el("td", {}, bdi(told), " ", el("small", {}, bdi(place))))))]).filter(Boolean));
  $("panel").scrollTop = stay;
}
function ladder(number) {
  const mine = ofFlow[number].map((place) => [place, data.packets[place]]), flow = data.flows[number], places = [];
  for (const [, packet] of mine.filter(([, each]) => each.forward)) { let spot = -1; for (const { at } of data.ways[packet.way]) { const known = places.indexOf(at); if (known < 0) places.splice(++spot, 0, at); else spot = known; } }
  for (const [, packet] of mine.filter(([, each]) => !each.forward)) { let spot = places.length; for (const { at } of data.ways[packet.way]) { const known = places.indexOf(at); if (known < 0) places.splice(spot, 0, at); else spot = known; } }
  if (!places.length) { $("ladder").replaceChildren(); return; }
  const width = Math.max(520, 150 * places.length + 110), high = 26, picture = svg("svg", { viewBox: `0 0 ${width} ${mine.length * high + 50}`, width, role: "img", "aria-label": `${flow.label}, ${mine.length} packets from top to bottom` });
  const x = (place) => 150 + (places.length < 2 ? 0 : ((width - 230) * place) / (places.length - 1)), t = (tx, ty, text, role = "", anchor = "middle", bold = false, size = 11) => words({ x: tx, y: ty, text, size, role, anchor, bold });
  places.forEach((name, place) => picture.append(svg("path", { class: "place", d: `M${x(place)} 26V${mine.length * high + 44}` }), t(x(place), 16, name.length > 20 ? `${name.slice(0, 19)}…` : name, "", "middle", true)));
  mine.forEach(([, packet], row) => {
    const y = 48 + row * high, way = data.ways[packet.way], dead = packet.verdict === "drop", group = svg("g", { class: packet.verdict });
    const start = way.length ? x(places.indexOf(way[0].at)) : x(packet.forward ? 0 : places.length - 1), end = way.length ? x(places.indexOf(way.at(-1).at)) : start + (packet.forward ? 40 : -40), label = packet.label;
    group.append(svg("path", { class: `rung ${packet.verdict}`, d: `M${start} ${y}H${end}` }), t(6, y + 4, clock(packet.time_ns), "quiet", "start"));
    if (dead || packet.verdict === "unsent") group.append(t(end, y + 5, dead ? "✕" : "–", `l-${dead ? "drop" : "partial"}`, "middle", true, 17)); else group.append(svg("polygon", { fill: "currentColor", points: `${end},${y} ${end - Math.sign(end - start) * 9},${y - 4.5} ${end - Math.sign(end - start) * 9},${y + 4.5}` }));
    group.append(t(dead && start === end ? end + 16 : (start + end) / 2, y - 5, packet.verdict === "unsent" ? `${label} never sent` : label, `l-${packet.verdict === "unsent" ? "partial" : packet.verdict}`));
    picture.append(group);
  });
  $("ladder").replaceChildren(el("h2", {}, bdi(flow.from[0]), " → ", bdi(flow.to[0]), " ", bdi(flow.label)), picture);
}

// ---- time: the packets one after another, evenly spaced
const SPAN = 1.6, PAUSE = 1000;
function show() {
  const at = state.at, last = data.packets[Math.min(Math.max(0, Math.ceil(at) - 1), data.packets.length - 1)];
  $("time").value = at;
  const told = last ? `${at > 0 ? `packet ${last.index} · ` : ""}${clock(last.time_ns)}` : "no packets here";
  $("now").textContent = told;
  movers.replaceChildren();
  for (let place = Math.max(0, Math.floor(at - SPAN)); place < Math.min(at, data.packets.length); place++) {
    const packet = data.packets[place], lane = lanes[data.flows[packet.flow].lane];
    if (!lane || !shown.has(packet.flow) || packet.verdict === "unsent" || at - place > SPAN) continue;
    const dead = packet.verdict === "drop", goal = packet.forward ? (dead ? lane.stop : lane.length) : dead ? lane.stop : 0, from = packet.forward ? 0 : lane.length, part = Math.min(1, (at - place) / (SPAN * 0.8));
    const { x, y } = lane.path.getPointAtLength(from + (goal - from) * part), label = words({ x: x + 8, y: y - 7, text: packet.label, size: 8, role: `l-${packet.verdict}`, anchor: "start", bold: true });
    movers.append(svg("g", { class: packet.verdict, "data-moves": place }, svg(dead ? "rect" : "circle", dead ? { class: "mover", x: x - 5, y: y - 5, width: 10, height: 10 } : { class: "mover", cx: x, cy: y, r: 5.5 }), label));
  }
  const now = performance.now();
  if (state.playing && now - state.told < PAUSE) return;  // nobody reads, or listens to, sixty tables a second
  state.told = now;
  $("time").setAttribute("aria-valuetext", told);
  if (state.interface) openInterface(state.interface);
}
function seek(at) { state.at = Math.min(Math.max(0, at), Number($("time").max)); show(); }
function play(on) {
  state.playing = on ? performance.now() : 0;
  $("play").textContent = on ? "⏸ Pause" : "▶ Play";
  for (const id of ["now", "panel"]) $(id).setAttribute("aria-live", on ? "off" : "polite");
  if (!on) show();
  if (on && state.at >= Number($("time").max)) state.at = 0;
  if (on) requestAnimationFrame(tick);
}
function tick(now) {
  if (!state.playing) return;
  const passed = Math.max(0, now - state.playing) / 1000;
  state.playing = now;
  seek(state.at + passed * Number($("speed").value));
  if (state.at >= Number($("time").max)) play(false); else requestAnimationFrame(tick);
}

export function start() {
  const { total, accept, drop, unsent, skipped } = data.counts, alone = total === undefined, n = (value) => value.toLocaleString("en");
  $("title").append(bdi(data.title), ...(alone ? [] : [" · ", bdi(data.capture)]));
  document.body.classList.toggle("alone", alone);
  if (!alone) $("counts").textContent = `${n(total)} packets: ✓ ${n(accept)} accepted, ✕ ${n(drop)} dropped, – ${n(unsent)} never sent, ${n(skipped)} skipped`;
  for (const code of [...new Set(data.flows.map((flow) => flow.reason?.code).filter(Boolean))].sort()) $("reason").append(el("option", { value: code }, code));
  for (const name of [...new Set(Object.values(data.interfaces).flatMap((eni) => eni.groups.map((group) => group.name)))].sort()) $("group").append(el("option", { value: name }, name));
  $("time").max = data.packets.length ? data.packets.length + 1 : 0;
  $("blocked").checked = data.flows.some((flow) => flow.dropped);
  drawMap();
  moving();
  $("filters").addEventListener("input", filter);
  $("filters").addEventListener("reset", () => setTimeout(filter));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("blocked").addEventListener("change", table);
  $("copy").addEventListener("click", copy);
  $("time").addEventListener("input", () => seek(Number($("time").value)));
  $("play").addEventListener("click", () => play(!state.playing));
  $("forth").addEventListener("click", () => { play(false); seek(Math.floor(state.at - 0.8) + 1.8); });
  $("back").addEventListener("click", () => { play(false); seek(Math.ceil(state.at - 0.8) - 0.2); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") { focusLane(-1); Object.assign(state, { flow: -1, interface: "" }); panel(el("p", { className: "quiet" }, ASK)); table(); $("ladder").replaceChildren(); } });
  panel(el("p", { className: "quiet" }, ASK));
  filter();
  const worst = rowsNow()[0];
  if (worst !== undefined && data.flows[worst].dropped) openFlow(worst);
}
start();
