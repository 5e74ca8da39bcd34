// The panel: what is heard is shown, what is pressed is said, and the page is told.

const host = parent === window ? null : parent;
let page = '*';
const tell = (type, value) => host && host.postMessage({ zhida: type, value }, page);
let shown = !host;
let unread = 0;
let asks;

const state = () => {
  const { owner, waits, away, slow, begun } = link;
  let text = owner === 'agent' ? words.agent : words.robot;
  if (owner === 'queued') text = waits ? `${words.waiting} · ${words.ahead(waits.position - 1, waits.estimated_wait_s)}` : words.waiting;
  if (owner === 'closed') text = words.closed;
  if (!begun && !away) text = words.connecting;
  if ($('state').textContent !== text) $('state').textContent = text;
  const trouble = asks ? words.expired : away ? words.offline : slow ? words.slow : '';
  if ($('trouble').textContent !== trouble) $('trouble').textContent = trouble;
  $('trouble').hidden = !trouble;
  const types = pushing && !trouble && (owner === 'bot' || owner === 'closed');
  if ($('typing').hidden === types) {
    $('typing').hidden = !types;
    if (types) end();
  }
  $('person').hidden = owner === 'queued' || owner === 'agent';
  const live = owner === 'queued' || owner === 'agent';
  $('picture').hidden = !live;
  if (live !== state.live) tell('live', state.live = live);
};

// The stars come when a person has ended it, once.
let trace;
const after = (one) => {
  if (one.trace_id) trace = one.trace_id;
  if (one.role === 'customer' && one.text !== PERSON) kept.asked = one.text.slice(0, 500);
  const ended = one.role === 'event' && one.text === 'closed';
  return ended && trace && !(rated(trace) || {}).rating ? [stars(trace)] : [];
};
// What was told here only, such as the number of what was left behind.
const notes = (one) => (kept.notes || []).filter((note) => note.after === one.seq).map(({ text }) => says('bot', linked(text)));

const on = {
  state,
  line(one) {
    // A stream may be faster than the reply.
    if (one.picture && one.client_id) on.gone({ id: one.client_id });
    [...line(one), ...after(one)].forEach((made) => add(made, one.role === 'customer'));
    if (one.role === 'bot' || one.role === 'agent') {
      if (!shown || document.hidden) tell('unread', ++unread);
      tell('message', { role: one.role, unread });
    }
  },
  pending,
  gone(message) {
    const made = $(`out-${message.id}`);
    if (made) made.remove();
  },
  failed,
  opened(opened) {
    asks = false;
    day = '';
    trace = undefined;
    $('lines').replaceChildren();
    // What is old is not read out.
    $('lines').setAttribute('aria-live', 'off');
    const all = opened.earlier.flatMap(line);
    if (all.length) all.push(note(words.earlier));
    if (!opened.items.length) {
      all.push(says('bot', linked(opened.greeting.greeting)));
      const quick = opened.greeting.quick_questions;
      if (quick.length) all.push(options(words.quick, quick));
    }
    for (const one of opened.items) all.push(...line(one), ...after(one), ...notes(one));
    $('lines').append(...all);
    end();
    setTimeout(() => $('lines').setAttribute('aria-live', 'polite'), 300);
    state();
    tell('ready');
  },
  identity() {
    asks = true;
    identity = undefined;
    state();
    tell('expired');
  },
  refused(error) {
    add(note(error.status === 404 ? error.message : words.wrong));
  },
};

const speak = (lang) => {
  words = WORDS[lang] || WORDS.zh;
  document.documentElement.lang = words.lang;
  document.title = $('title').textContent = words.title;
  const texts = { person: words.person, send: words.send };
  for (const id in texts) $(id).textContent = texts[id];
  const names = { close: words.close, lines: words.log, text: words.ask, picture: words.attach, file: words.attach };
  for (const id in names) $(id).setAttribute('aria-label', names[id]);
  $('close').title = words.close;
  $('picture').title = words.attach;
  $('text').placeholder = words.placeholder;
};

const look = (value) => {
  shown = value;
  if (!value) return;
  unread = 0;
  tell('unread', 0);
  end();
  // A keyboard that slides up over the conversation is what few want at once.
  if (matchMedia('(hover: hover)').matches || !link.last) $('text').focus({ preventScroll: true });
};

const begin = ({ lang, theme, identity: jwt, forgets, shown: is, accent, on: above }) => {
  speak(lang);
  const style = document.documentElement.style;
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  if (accent && CSS.supports('color', accent)) {
    style.setProperty('--accent', accent);
    style.setProperty('--on-accent', above);
  }
  if (forgets) forget();
  identity = jwt;
  link.out = stored.keys(OUT).map(stored.get).filter(Boolean).sort((one, other) => one.at - other.at);
  link.out.forEach(pending);
  open();
  if (is) look(true);
};
const forget = () => {
  stored.keys(OUT).forEach((key) => stored.set(key, null));
  stored.set(KEEP, null);
  kept = {};
  link.out = [];
  $('pending').replaceChildren();
};

const from = {
  config: begin,
  show: () => look(true),
  hide: () => look(false),
  identify(jwt) {
    identity = jwt;
    open();
  },
  reset() {
    identity = undefined;
    forget();
    open();
  },
};
addEventListener('message', ({ source, origin, data }) => {
  if (source !== host || !host || !data || !Object.hasOwn(from, data.zhida)) return;
  page = origin;
  from[data.zhida](data.value);
});

const text = $('text');
const grow = () => {
  text.style.height = 'auto';
  text.style.height = `${Math.min(text.scrollHeight, 120)}px`;
};
text.addEventListener('input', grow);
text.addEventListener('keydown', (event) => {
  // Enter ends the choice of a Chinese word before it ends the message.
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
    event.preventDefault();
    $('ask').requestSubmit();
  }
});
$('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (!said) return;
  text.value = '';
  grow();
  say(said);
  text.focus();
});
$('picture').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', () => {
  [...$('file').files].forEach((file) => showPicture(file));
  $('file').value = '';
  text.focus();
});
text.addEventListener('paste', (event) => {
  const files = [...event.clipboardData.files].filter((file) => file.type.startsWith('image/'));
  if (!files.length || $('picture').hidden) return;
  event.preventDefault();
  files.forEach((file) => showPicture(file));
});
$('person').addEventListener('click', () => say(PERSON));
$('close').addEventListener('click', () => tell('close'));
$('close').hidden = !host;
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !event.isComposing) tell('close');
});
addEventListener('offline', () => { link.away = true; state(); });
addEventListener('online', () => { stop(); if (link.begun) { push(); follow(); } });
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && shown && unread) look(true);
});
// Another tab of the same page begins the conversation, or leaves it.
addEventListener('storage', ({ key }) => {
  if (key !== KEEP) return;
  const now = stored.get(KEEP) || {};
  const other = now.visitor !== kept.visitor || now.session !== kept.session;
  kept = now;
  if (other && link.begun) open();
});

if (host) tell('hello');
else begin({ lang: location.hash.slice(1) || (/^zh/i.test(navigator.language) ? 'zh' : 'en'), shown: true });
