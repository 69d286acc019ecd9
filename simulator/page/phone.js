"use strict";

// The phone of one person. What it shows it asks for once a second; what the person does it posts.

const KINDS = { love: "Love", like: "Like", dislike: "Dislike", laugh: "Laugh", emphasize: "Emphasize", question: "Question" };
const ROUTE_NAMES = { imessage: "iMessage", sms: "SMS" };
const STAMP_GAP = 15 * 60 * 1000;
const POLL = 1000;
const TYPING_POLL = 4000;

const $ = (id) => document.getElementById(id);
const state = { number: "", line: "", person: null, version: "", seen: new Set(), typingAt: 0, query: "" };

// Elements

function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", `icon-${kind}`);
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${kind}`);
  svg.append(use);
  return svg;
}

function fillAvatar(node, name) {
  const words = name.split(/[^\p{L}]+/u).filter(Boolean);
  const initials = words.length > 1 ? words[0][0] + words[words.length - 1][0] : (words[0] || "").slice(0, 1);
  node.replaceChildren(initials ? initials.toUpperCase() : icon("person"));
  return node;
}

function pretty(number) {
  const north = number.match(/^\+1(\d{3})(\d{3})(\d{4})$/);
  return north ? `+1 (${north[1]}) ${north[2]}-${north[3]}` : number;
}

function clock(moment) {
  return moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function day(moment) {
  const start = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((start(new Date()) - start(moment)) / 86400000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return moment.toLocaleDateString([], { weekday: "long" });
  return moment.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}

function short(text) {
  const moment = new Date(text);
  return day(moment) === "Today" ? clock(moment) : day(moment);
}

// The carrier

async function get(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error("The simulator does not answer.");
  return response.json();
}

async function send(method, path, content) {
  const response = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

async function act(content) {
  try {
    await send("POST", "/phone/act", { from: state.number, ...content });
    say("");
    await refresh();
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
}

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = text === "";
}

// Where we are: ?person=+1…&line=imessage:handle

function readAddress() {
  const query = new URLSearchParams(location.search);
  state.number = (query.get("person") || "").trim().replace(/[^\d]/g, "");
  state.number = state.number && `+${state.number}`;
  state.line = query.get("line") || "";
  state.version = "";
  state.person = null;
  state.seen = new Set();
}

function go(number, line = "") {
  const query = new URLSearchParams();
  if (number) query.set("person", number);
  if (line) query.set("line", line);
  history.pushState(null, "", number ? `?${query}` : "/");
  arrive();
}

async function arrive() {
  readAddress();
  say("");
  closeTapbacks();
  show();
  await refresh();
  await listPeople();
}

const nameOf = (thread) => `${thread.route}:${thread.address}`;
const openThread = () => state.person && state.person.threads.find((thread) => nameOf(thread) === state.line);

// People

async function listPeople() {
  const answer = await get(`/phone/people?q=${encodeURIComponent(state.query)}`).catch(() => null);
  if (!answer) return;
  const rows = answer.people.map((person) => {
    const mark = person.unread ? el("span", "dot mark", person.unread) : null;
    const preview = person.last ? person.last.body : pretty(person.number);
    const row = rowOf(person.name || pretty(person.number), preview, person.last, mark);
    if (!mark) row.append(chip(person.imessage ? "imessage" : "sms", person.imessage ? "iMessage" : "SMS only"));
    row.setAttribute("aria-current", String(person.number === state.number));
    row.addEventListener("click", () => go(person.number));
    const item = el("li");
    item.append(row);
    return item;
  });
  if (!rows.length) {
    const hint = state.query
      ? "Nobody is called that. A whole number such as +13035550100 opens that phone."
      : "Nobody has been texted yet. Search for a number such as +13035550100 to open its phone.";
    rows.push(el("li", "empty", hint));
  }
  if (answer.more) rows.push(el("li", "empty", "Search to find the others."));
  swap($("people"), rows);
}

function chip(route, text) {
  return el("span", `chip mark ${route}`, text);
}

function rowOf(title, preview, last, mark) {
  const row = el("button", "row");
  row.type = "button";
  row.append(fillAvatar(el("span", "avatar"), title), el("span", "name", title));
  row.append(el("span", "when", last ? short(last.at) : ""), el("span", "preview", preview));
  if (mark) row.append(mark);
  return row;
}

// Replacing a list would take the keyboard's place in it.
function swap(list, items) {
  const text = items.map((item) => item.outerHTML).join("");
  if (list.dataset.shown === text) return;
  const at = [...list.querySelectorAll("button")].indexOf(document.activeElement);
  list.dataset.shown = text;
  list.replaceChildren(...items);
  if (at >= 0) list.querySelectorAll("button")[at]?.focus();
}

// The phone

async function refresh() {
  if (!state.number) return;
  const number = state.number;
  const query = new URLSearchParams({ number, version: state.version });
  let answer;
  try {
    answer = await get(`/phone/person?${query}`);
  } catch {
    return;
  }
  if (number !== state.number || !answer.threads) return;
  state.version = answer.version;
  state.person = answer;
  show();
  const thread = openThread();
  if (thread && !document.hidden) await read(thread);
}

async function read(thread) {
  const isNew = thread.unread > 0 || thread.messages.some((message) => message.direction === "out" && message.status === "delivered");
  if (!isNew) return;
  const content = { kind: "read", from: state.number, line: { route: thread.route, address: thread.address } };
  await send("POST", "/phone/act", content).catch(() => null);
}

function show() {
  const person = state.person;
  const thread = openThread();
  document.body.classList.toggle("has-person", state.number !== "");
  $("nobody").hidden = state.number !== "";
  $("inbox").hidden = state.number === "" || state.line !== "";
  $("conversation").hidden = state.line === "" || !thread;
  document.title = person ? `${person.name || pretty(person.number)} · Phone` : "Phone · Simulator";
  if (!person) return;
  if (thread) showThread(thread);
  else showInbox(person);
}

function showInbox(person) {
  $("owner-name").textContent = person.name || pretty(person.number);
  $("owner-number").textContent = person.name ? pretty(person.number) : "";
  $("has-imessage").checked = person.imessage;
  $("read-receipts").checked = person.read_receipts;
  const items = [];
  const used = person.threads.filter((thread) => thread.messages.length);
  const others = person.threads.filter((thread) => !thread.messages.length && (person.imessage || thread.route === "sms"));
  for (const thread of used) items.push(threadItem(thread));
  if (!used.length) items.push(el("li", "empty", "No messages yet. Whoever wants to be texted can write first."));
  if (others.length) items.push(heading("Start a conversation"), ...others.map(threadItem));
  swap($("threads"), items);
}

function heading(text) {
  const item = el("li", "heading");
  item.append(el("h3", "", text));
  return item;
}

function threadItem(thread) {
  const last = thread.messages[thread.messages.length - 1];
  const title = thread.label || pretty(thread.address);
  const preview = last ? last.body || "Attachment" : thread.label ? pretty(thread.address) : "";
  const row = rowOf(title, preview, last, chip(thread.route, ROUTE_NAMES[thread.route]));
  row.classList.toggle("unread", thread.unread > 0);
  row.addEventListener("click", () => go(state.number, nameOf(thread)));
  const item = el("li");
  item.append(row);
  return item;
}

function showThread(thread) {
  const title = thread.label || pretty(thread.address);
  const elsewhere = state.person.threads.reduce((sum, other) => sum + (other === thread ? 0 : other.unread), 0);
  $("unread-elsewhere").textContent = elsewhere || "";
  fillAvatar($("line-avatar"), title);
  $("line-name").textContent = title;
  $("line-address").textContent = `${ROUTE_NAMES[thread.route]}${title === pretty(thread.address) ? "" : ` · ${pretty(thread.address)}`}`;
  $("conversation").classList.toggle("imessage-line", thread.route === "imessage");
  $("text").placeholder = thread.route === "imessage" ? "iMessage" : "Text Message · SMS";
  if (!thread.is_heard) say("Nobody listens on this line yet: it has no callback address.");
  showMessages(thread);
}

function showMessages(thread) {
  const box = $("messages");
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60 || !box.childElementCount;
  const isFirst = state.seen.size === 0;
  const lastMine = thread.messages.findLast((message) => message.direction === "in");
  const nodes = [];
  thread.messages.forEach((message, index) => {
    const before = thread.messages[index - 1];
    const after = thread.messages[index + 1];
    if (isApart(before, message)) nodes.push(stamp(message));
    const line = bubbleLine(message);
    line.classList.toggle("turn", Boolean(before) && before.direction !== message.direction);
    line.classList.toggle("last", isApart(message, after) || after.direction !== message.direction);
    line.classList.toggle("fresh", !isFirst && !state.seen.has(message.id));
    if (message === lastMine && message.line.route === "imessage" && message.delivered_at) line.append(el("p", "status", mark(message)));
    state.seen.add(message.id);
    nodes.push(line);
  });
  if (thread.typing) {
    const dots = el("div", "typing");
    dots.setAttribute("aria-label", "The other side is typing");
    dots.append(el("i"), el("i"), el("i"));
    nodes.push(dots);
  }
  box.replaceChildren(...nodes);
  if (isAtEnd || isFirst) box.scrollTop = box.scrollHeight;
}

const isApart = (one, other) => !one || !other || new Date(other.at) - new Date(one.at) > STAMP_GAP;
const mark = (message) => (message.read_at ? `Read ${clock(new Date(message.read_at))}` : "Delivered");

function stamp(message) {
  const moment = new Date(message.at);
  const node = el("p", "stamp");
  node.append(el("b", "", message.line.route === "imessage" ? "iMessage" : "Text Message · SMS"));
  node.append(`${day(moment)} ${clock(moment)}`);
  return node;
}

function bubbleLine(message) {
  const line = el("div", `line ${message.direction === "in" ? "mine" : "theirs"}`);
  line.dataset.message = message.id;
  for (const url of message.media_urls) line.append(picture(url));
  if (!message.body) return line;
  const bubble = el("div", `bubble ${message.line.route}`);
  bubble.dataset.route = message.line.route;
  bubble.append(...linked(message.body));
  const tapbacks = Object.entries(message.tapbacks);
  line.classList.toggle("tapped", tapbacks.length > 0);
  for (const [side, kind] of tapbacks) {
    const badge = el("span", side === "person" ? "badge ours" : "badge");
    badge.title = `${KINDS[kind]}, by ${side === "person" ? "this person" : "the other side"}`;
    badge.append(icon(kind));
    bubble.append(badge);
  }
  if (message.line.route === "imessage") addTapbacks(bubble, message);
  line.append(bubble);
  return line;
}

function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)])/).map((part, index) => {
    if (index % 2 === 0) return document.createTextNode(part);
    return link(part, part);
  });
}

function link(url, text) {
  const node = el("a", "", text);
  node.href = url;
  node.target = "_blank";
  node.rel = "noopener noreferrer";
  return node;
}

function picture(url) {
  const anchor = link(url, "");
  const image = el("img", "picture");
  image.src = url;
  image.alt = "Attachment";
  image.referrerPolicy = "no-referrer";
  image.addEventListener("error", () => anchor.replaceWith(fallback));
  image.addEventListener("load", () => {
    const box = $("messages");
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 340) box.scrollTop = box.scrollHeight;
  });
  const fallback = el("div", "bubble attachment");
  fallback.append(link(url, url));
  anchor.append(image);
  return anchor;
}

// Tapbacks: long press, right click, double click, or the button beside the bubble

function addTapbacks(bubble, message) {
  const button = el("button", "react");
  button.type = "button";
  button.setAttribute("aria-label", "Tapback");
  button.append(icon("love"));
  button.addEventListener("click", () => openTapbacks(bubble, message));
  bubble.append(button);
  let press;
  bubble.addEventListener("contextmenu", (event) => { event.preventDefault(); openTapbacks(bubble, message); });
  bubble.addEventListener("dblclick", () => openTapbacks(bubble, message));
  bubble.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") press = setTimeout(() => openTapbacks(bubble, message), 450);
  });
  for (const name of ["pointerup", "pointercancel", "pointermove"]) bubble.addEventListener(name, () => clearTimeout(press));
}

function openTapbacks(bubble, message) {
  const menu = $("tapbacks");
  getSelection().removeAllRanges();
  const mine = message.tapbacks.person;
  menu.replaceChildren(...Object.entries(KINDS).map(([kind, label]) => {
    const button = el("button");
    button.type = "button";
    button.setAttribute("role", "menuitemradio");
    button.setAttribute("aria-checked", String(kind === mine));
    button.setAttribute("aria-label", label);
    button.append(icon(kind));
    button.addEventListener("click", () => {
      closeTapbacks();
      act({ kind: "tapback", message_id: message.id, tapback: kind, remove: kind === mine });
    });
    return button;
  }));
  menu.hidden = false;
  const place = bubble.getBoundingClientRect();
  const left = Math.min(Math.max(8, place.left - 10), innerWidth - menu.offsetWidth - 8);
  const above = place.top - menu.offsetHeight - 8;
  menu.style.left = `${left}px`;
  menu.style.top = `${above > 8 ? above : place.bottom + 8}px`;
  menu.firstElementChild.focus();
}

function closeTapbacks() {
  $("tapbacks").hidden = true;
}

// Answering

const chosenLine = () => {
  const thread = openThread();
  return thread && { route: thread.route, address: thread.address };
};

async function answer(body, media = []) {
  const line = chosenLine();
  if (!line || (!body && !media.length)) return false;
  stopTyping();
  $("messages").scrollTop = $("messages").scrollHeight;
  return act({ kind: "message", line, body, media_urls: media });
}

function tellTyping(isTyping) {
  const line = chosenLine();
  if (!line || line.route !== "imessage") return;
  state.typingAt = isTyping ? Date.now() : 0;
  send("POST", "/phone/act", { kind: "typing", from: state.number, line, typing: isTyping }).catch(() => null);
}

function stopTyping() {
  if (state.typingAt) tellTyping(false);
}

function fitText() {
  const text = $("text");
  text.style.height = "auto";
  if (text.scrollHeight) text.style.height = `${text.scrollHeight}px`;
  $("answer").querySelector(".send").disabled = !text.value.trim() && !$("media").value.trim();
}

function onText() {
  fitText();
  if (!$("text").value) stopTyping();
  else if (Date.now() - state.typingAt > TYPING_POLL) tellTyping(true);
}

async function onAnswer(event) {
  event.preventDefault();
  const body = $("text").value.trim();
  const url = $("media").value.trim();
  $("text").value = "";
  $("media").value = "";
  $("media").hidden = true;
  fitText();
  if (!(await answer(body, url ? [url] : []))) {
    $("text").value = body;
    fitText();
  }
  $("text").focus();
}

async function setPerson(content) {
  await send("PUT", `/people/${encodeURIComponent(state.number)}`, content);
  await refresh();
  await listPeople();
}

function listen() {
  addEventListener("popstate", arrive);
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeTapbacks(); });
  document.addEventListener("pointerdown", (event) => { if (!$("tapbacks").contains(event.target)) closeTapbacks(); });
  $("messages").addEventListener("scroll", closeTapbacks);
  $("search").addEventListener("input", () => { state.query = $("search").value.trim(); listPeople(); });
  $("to-people").addEventListener("click", () => go(""));
  $("to-inbox").addEventListener("click", () => go(state.number));
  $("has-imessage").addEventListener("change", (event) => setPerson({ imessage: event.target.checked }));
  $("read-receipts").addEventListener("change", (event) => setPerson({ read_receipts: event.target.checked }));
  $("text").addEventListener("input", onText);
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("answer").requestSubmit();
    }
  });
  $("media").addEventListener("input", fitText);
  $("attach").addEventListener("click", () => {
    $("media").hidden = !$("media").hidden;
    if (!$("media").hidden) $("media").focus();
  });
  $("answer").addEventListener("submit", onAnswer);
  for (const button of document.querySelectorAll("[data-word]")) button.addEventListener("click", () => answer(button.dataset.word));
}

function tick() {
  $("clock").textContent = new Date().toLocaleTimeString([], { hour: "numeric", minute: "2-digit" }).replace(/ ?[AP]M/i, "");
  if (state.typingAt && Date.now() - state.typingAt > TYPING_POLL * 2) stopTyping();
  if (!document.hidden) refresh();
}

listen();
fitText();
arrive();
tick();
setInterval(tick, POLL);
setInterval(() => { if (!document.hidden) listPeople(); }, POLL * 3);
