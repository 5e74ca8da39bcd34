// What lives at the desk: news, the draft of a reply, keys. Without it the pages work
// with links and forms.
import { tellTimes } from "./frame.js";

const desk = document.querySelector("[data-desk]");
const own = desk.dataset.handoff;
const isEnglish = document.documentElement.lang === "en";
const say = (chinese, english) => (isEnglish ? english : chinese);
const status = document.querySelector("[data-status]");
const title = document.title;
const memory = {
  get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { if (value) localStorage.setItem(name, value); else localStorage.removeItem(name); } catch { /* a browser that keeps nothing */ } },
};
let csrf = desk.dataset.csrf;
let isEnded = false;

function tell(text) { status.textContent = text; }

// ── The live parts of a page are those of the page as the server makes it now. ──

function show(page) {
  const focused = document.activeElement?.id;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(old.id);
    if (!now || now.outerHTML === old.dataset.html) continue;
    const html = now.outerHTML;
    const isAtEnd = old.scrollTop + old.clientHeight >= old.scrollHeight - 40;
    const opened = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
    const fresh = document.importNode(now, true);
    fresh.dataset.html = html;
    old.replaceWith(fresh);
    tellTimes(fresh);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (isAtEnd) fresh.scrollTop = fresh.scrollHeight;
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
  count();
}

function count() {
  const waiting = Number(document.querySelector("[data-waiting]")?.dataset.waiting || 0);
  document.title = waiting > 0 ? `(${waiting}) ${title}` : title;
}

// Whether somebody has to sign in again; what they wrote stays.
function ended() {
  if (isEnded) return;
  isEnded = true;
  const link = document.createElement("a");
  [link.href, link.target, link.textContent] = ["/login?next=%2Fconsole%2Fback", "_blank", say("重新登录（新窗口）", "Sign in again (new window)")];
  status.replaceChildren(say("登录已过期，您写的内容还在。 ", "Your session has ended; what you wrote is still here. "), link);
}

async function renewed() {
  if (!isEnded) return;
  const response = await fetch("/v1/me");
  if (!response.ok) return;
  csrf = (await response.json()).csrf_token || "";
  for (const field of document.querySelectorAll("input[name=csrf]")) field.value = csrf;
  isEnded = false;
  tell(say("已重新登录，可以继续。", "Signed in again; go on."));
  refresh();
}
window.addEventListener("focus", renewed);

async function read(response) {
  if (new URL(response.url).pathname === "/login") { ended(); return null; }
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

let isReading = false;
let isStale = false;
async function refresh() {
  isStale = true;
  if (isReading) return;
  isReading = true;
  try {
    while (isStale) {
      isStale = false;
      const response = await fetch(location.pathname + location.search);
      const page = await read(response);
      if (page && response.ok) show(page);
    }
  } catch { /* the stream tells when the server is there again */ } finally { isReading = false; }
}

function call(method, path, body) {
  return fetch(path, {
    method,
    headers: { "content-type": "application/json", "x-csrf-token": csrf },
    body: JSON.stringify(body),
  }).then((response) => { if (response.status === 401) ended(); return response; });
}

// ── News, by one window for all. ──

const channel = "BroadcastChannel" in window ? new BroadcastChannel("zhida-desk") : null;
let last = "";

// Whether the reader has a conversation: a colleague's customer is not theirs to hear.
function isMine(handoff) {
  if (handoff === own) return document.getElementById("live-state")?.dataset.mine !== undefined;
  return Boolean(document.querySelector(`[data-own="${CSS.escape(handoff)}"]`));
}

function heard({ kind, handoff, seq, text }) {
  last = seq || last;
  if (kind === "open") { refresh(); return; }
  if (kind === "waiting" && handoff !== own) {
    tell(say("有新的会话在等待接待。", "A conversation waits for a person."));
    beep();
  } else if (kind === "transferred" && text === desk.dataset.you) {
    tell(say("同事转给您一个会话。", "A colleague has passed a conversation on to you."));
    beep();
  } else if (kind === "undelivered" && (handoff === own || !own)) {
    tell(say("有一条消息没有送达顾客。", "Some words did not reach the customer."));
    beep();
  } else if (kind === "message" && isMine(handoff)) {
    tell(say("顾客发来新消息。", "The customer has written."));
    if (document.hidden) beep();
  }
  // A page of one conversation also lists the reader's others.
  if (!own || handoff === own || kind === "transferred" || isMine(handoff)) refresh();
}

function listen() {
  const events = new EventSource(last ? `/v1/handoffs/events?after=${last}` : "/v1/handoffs/events");
  const pass = (news) => { heard(news); channel?.postMessage(news); };
  // Whatever happened before the stream was open stands in the page.
  events.addEventListener("open", () => pass({ kind: "open" }));
  for (const kind of ["waiting", "claimed", "answered", "closed", "returned", "expired", "withdrawn", "transferred", "message", "undelivered", "quota"]) {
    events.addEventListener(kind, (event) => {
      const { handoff, text } = JSON.parse(event.data);
      pass({ kind, handoff, text, seq: event.lastEventId });
    });
  }
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) { refresh(); setTimeout(listen, 5000); }
  });
}
channel?.addEventListener("message", (event) => heard(event.data));
if (channel && navigator.locks) navigator.locks.request("zhida-desk", () => new Promise(listen));
else listen();

// ── A sound, when somebody wants one. ──

const sound = document.querySelector("[data-sound]");
if (sound) {
  sound.hidden = false;
  const box = sound.querySelector("input");
  box.checked = memory.get("zhida-sound") === "on";
  box.addEventListener("change", () => { memory.set("zhida-sound", box.checked ? "on" : ""); beep(); });
}
function beep() {
  if (memory.get("zhida-sound") !== "on") return;
  try {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    volume.gain.value = 0.08;
    tone.frequency.value = 880;
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.18);
    tone.addEventListener("ended", () => audio.close());
  } catch { /* a browser without sound */ }
}

// ── Who is there. ──

const presence = document.querySelector("[data-presence]");
const ofAll = () => memory.get("zhida-presence") || "online";
let state = ofAll();
function present() {
  // Another tab may have said it since.
  state = ofAll();
  if (state !== "offline" && !isEnded) call("PUT", "/v1/presence", { state }).catch(() => {});
}
addEventListener("storage", (event) => {
  if (event.key !== "zhida-presence") return;
  state = ofAll();
  pressed();
});
function pressed() {
  for (const button of presence?.querySelectorAll("button") || []) {
    button.setAttribute("aria-pressed", String(button.value === state));
  }
}
presence?.addEventListener("submit", async (event) => {
  event.preventDefault();
  delete presence.dataset.sent;
  state = event.submitter.value;
  memory.set("zhida-presence", state);
  pressed();
  await call("PUT", "/v1/presence", { state }).catch(() => {});
  refresh();
});
pressed();
present();
setInterval(present, 30_000);

// ── Waiting times go on. ──

const began = Date.now();
setInterval(() => {
  const passed = Math.round((Date.now() - began) / 1000);
  if (!document.hidden && passed % 15 === 0 && document.querySelector("[data-since]")) refresh();
}, 1000);

// ── The reply. ──

const form = document.querySelector("form[data-draft]");
if (form) {
  const kept = `zhida-draft-${form.dataset.draft}`;
  const { text, entry } = form.elements;
  const address = new URL(location.href);
  if (address.searchParams.has("said")) memory.set(kept, "");
  const draft = JSON.parse(memory.get(kept) || "null");
  if (draft && !text.value) {
    [text.value, entry.value] = [draft.text, draft.entry];
    form.querySelector("[data-kept]").textContent = say("已恢复未发送的草稿。", "Your draft is back.");
  }
  if (address.search && !address.searchParams.has("all")) history.replaceState(null, "", address.pathname);
  const keep = () => memory.set(kept, text.value ? JSON.stringify({ text: text.value, entry: entry.value }) : "");
  text.addEventListener("input", keep);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  const put = (link) => {
    text.value = link.dataset.entry || !text.value ? link.dataset.put : `${text.value}\n${link.dataset.put}`;
    if (link.dataset.entry) entry.value = link.dataset.entry;
    keep();
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
    text.scrollIntoView({ block: "nearest" });
  };
  desk.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-put]");
    if (!link) return;
    event.preventDefault();
    put(link);
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input, textarea, select");
    const key = /^Digit([1-5])$/.exec(event.code)?.[1];
    if (!key || event.ctrlKey || event.metaKey || event.isComposing || (isTyping && !event.altKey)) return;
    const link = document.querySelector(`a[data-key="${key}"]`);
    if (!link) return;
    event.preventDefault();
    put(link);
  });
  const find = document.querySelector("[data-find]");
  if (find) {
    find.hidden = false;
    find.querySelector("input").addEventListener("input", (event) => {
      const wanted = event.target.value.trim().toLowerCase();
      for (const item of document.querySelectorAll(".canned li")) item.hidden = !item.textContent.toLowerCase().includes(wanted);
    });
  }
  const fault = form.querySelector("[data-fault]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (form.dataset.sending) return;
    form.dataset.sending = "1";
    fault.textContent = "";
    try {
      const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const page = await read(response);
      if (response.ok && new URL(response.url).searchParams.has("said")) {
        [text.value, entry.value] = ["", ""];
        form.elements.client_id.value = page.querySelector("form[data-draft] [name=client_id]")?.value || "";
        memory.set(kept, "");
        form.querySelector("[data-kept]").textContent = "";
        tell(say("已发送。", "Sent."));
        show(page);
        text.focus();
      } else if (response.status === 401) {
        ended();
        fault.textContent = say("没有发送：请先重新登录。", "Not sent: please sign in again first.");
      } else if (page) {
        fault.textContent = page.querySelector("[data-fault], .problem")?.textContent.trim() || say("没有发送。", "Not sent.");
        show(page);
      }
    } catch {
      fault.textContent = say("没有发送：连不上服务器。内容还在，请再试一次。", "Not sent: the server cannot be reached. Your words are still here; try again.");
    } finally { delete form.dataset.sending; }
  }, true);

  // A claim holds while somebody works at this page.
  let active = Date.now();
  for (const kind of ["keydown", "pointerdown", "pointermove", "focus"]) {
    window.addEventListener(kind, () => { active = Date.now(); }, { passive: true });
  }
  setInterval(() => {
    if (Date.now() - active < 600_000 && !isEnded) call("POST", `/v1/handoffs/${encodeURIComponent(own)}/renew`, {}).catch(() => {});
  }, 180_000);
}

const talk = document.getElementById("live-talk");
if (talk) talk.scrollTop = talk.scrollHeight;
count();
