// The way to the server: what is kept, what is asked, what comes back.
//
// Every line has a number. Whatever tells of lines (a reply, the stream, a look at the
// messages) begins behind the last number that was seen and leaves nothing out, so what
// is not newer was seen already. A message has a name of its own from the moment it is
// typed; under that name the server hears it once, however often it is sent.

const SITE = location.pathname.split('/').pop();
const BASE = `/widget/${SITE}/conversations`;
const KEEP = `zhida-${SITE}`;
const OUT = `${KEEP}-out-`;

const stored = {
  get(key) {
    // Browsers may keep nothing in frames; then the conversation lasts as long as the page.
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  },
  set(key, value) {
    try { value == null ? localStorage.removeItem(key) : localStorage.setItem(key, JSON.stringify(value)); } catch { /* as above */ }
  },
  keys(prefix) {
    try { return Object.keys(localStorage).filter((key) => key.startsWith(prefix)); } catch { return []; }
  },
};

let kept = stored.get(KEEP) || {};
const keep = (change) => {
  Object.assign(kept, change);
  stored.set(KEEP, kept);
};

const name = () => crypto.randomUUID ? crypto.randomUUID()
  : [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const pause = (ms) => new Promise((done) => {
  const wake = () => {
    clearTimeout(timer);
    removeEventListener('online', wake);
    document.removeEventListener('visibilitychange', wake);
    done();
  };
  const timer = setTimeout(wake, ms);
  // Whatever was in the way may be gone.
  addEventListener('online', wake);
  document.addEventListener('visibilitychange', wake);
});
// Longer with every failure, and not for all at the same moment.
const patience = (failures) => Math.min(30000, 500 * 2 ** failures) * (0.75 + Math.random() / 2);

let identity;
const link = { last: 0, owner: 'bot', out: [], begun: false };

const headers = (more) => ({
  ...(kept.visitor && { authorization: `Bearer ${kept.visitor}` }),
  ...(identity && { 'zhida-identity': identity }),
  ...more,
});

// Asks, and gives back what is replied; a problem is thrown with `status`, else there was no way.
const call = async (path, body) => {
  const response = await fetch(BASE + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: headers(body === undefined ? {} : { 'content-type': 'application/json' }),
    body: body === undefined ? body : JSON.stringify(body),
    signal: soon(20000),
  });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail), { status: response.status, problem, after: +response.headers.get('retry-after') });
};
// Browsers before 2022 have no AbortSignal.timeout.
function soon(millis) {
  const late = new AbortController();
  setTimeout(() => late.abort(), millis);
  return late.signal;
}
const passes = (error) => !error.status || error.status >= 500 || error.status === 408 || error.status === 429;

// The month's questions are used up: nothing passes by waiting, and who asks for a person in
// other words may get one.
const isUsedUp = (error) => /quota-used-up$/.test(error.problem?.type || '');

// What a problem with who it is asks for: another identity, or another visitor.
const refused = (error) => {
  if (error.status === 401 && error.problem.field === 'zhida-identity') {
    link.begun = false;
    on.identity();
  } else if (error.status === 401 || error.status === 404) {
    if (error.problem.field === 'site') return false;
    keep({ visitor: undefined, session: undefined });
    open();
  } else return false;
  return true;
};

// Takes lines in order; what is not new was seen.
const take = (items) => {
  for (const line of items) {
    if (line.seq <= link.last) continue;
    link.last = line.seq;
    const at = link.out.findIndex((message) => message.id === line.client_id);
    if (at >= 0) drop(link.out[at]);
    if (line.role === 'event') link.owner = line.text;
    on.line(line, false);
  }
};
const stands = (standing) => {
  take(standing.items);
  // A reply that was overtaken tells of what was.
  if (standing.next >= link.last) {
    link.owner = standing.owner;
    link.waits = standing.waits;
  }
  on.state();
};

// Opens the conversation, again and again until it is open.
let opening = 0;
const open = async () => {
  const mine = ++opening;
  link.begun = false;
  stop();
  for (let failures = 0; mine === opening; failures++) {
    try {
      const opened = await call('', {});
      if (mine !== opening) return;
      keep({ visitor: opened.visitor, session: opened.session });
      link.last = opened.next;
      link.owner = opened.owner;
      link.waits = opened.waits;
      link.begun = true;
      link.away = false;
      on.opened(opened);
      push();
      follow();
      return;
    } catch (error) {
      if (mine !== opening) return;
      if (error.status === 401 && error.problem.field === 'zhida-identity') return on.identity();
      if (!passes(error)) return on.refused(error);
      link.away = true;
      on.state();
      await pause(patience(failures));
    }
  }
};

// What is to be said, kept until the server has it.
const drop = (message) => {
  link.out = link.out.filter((other) => other !== message);
  stored.set(OUT + message.id, null);
  on.gone(message);
};
const say = (text, choice) => {
  const message = { id: name(), text, choice, at: Date.now() };
  link.out.push(message);
  stored.set(OUT + message.id, message);
  on.pending(message);
  push();
};
let pushing = false;
const push = async () => {
  if (pushing) return;
  pushing = true;
  for (let failures = 0; link.begun && link.out.length;) {
    const message = link.out[0];
    on.state();
    try {
      const { id: client_id, text, choice } = message;
      const standing = await call(`/${kept.session}/messages`, { text, choice, client_id, after: link.last });
      failures = 0;
      link.away = link.slow = false;
      stands(standing);
      drop(message);
      follow();
    } catch (error) {
      if (error.status === 422 && message.choice) {
        // Nobody is offered that any more; the words say the same.
        stored.set(OUT + message.id, null);
        message.choice = undefined;
      } else if (passes(error) && !isUsedUp(error)) {
        link.slow = error.status === 429;
        link.away = !error.status;
        on.state();
        await pause(Math.min(Math.max(patience(failures++), (error.after || 0) * 1000), 60000));
      } else if (!refused(error)) {
        drop(message);
        on.failed(message, error);
      }
    }
  }
  pushing = false;
  on.state();
};

// Follows what is said: by a stream while somebody looks, else by a look now and then,
// as browsers have few connections and every tab would take one.
let following;
const stop = () => {
  if (following) following.abort();
  following = undefined;
};
const follow = async () => {
  if (following || !link.begun || !link.last) return;
  const mine = following = new AbortController();
  let failures = 0;
  while (following === mine) {
    try {
      if (document.hidden || failures >= 3) {
        await pause(document.hidden ? 15000 : 3000);
        if (following !== mine) return;
        stands(await call(`/${kept.session}/messages?after=${link.last}`));
        // Now and then the stream is tried again.
        failures = document.hidden ? 0 : (failures + 1) % 20;
      } else {
        const began = Date.now();
        await read(mine);
        // One that ends at once does not carry.
        failures = Date.now() - began < 2000 && !document.hidden ? failures + 1 : 0;
        if (failures) await pause(patience(failures));
      }
      link.away = false;
    } catch (error) {
      if (following !== mine) return;
      if (!passes(error)) {
        stop();
        if (!refused(error)) on.state();
        return;
      }
      failures++;
      link.away = !navigator.onLine || failures > 1;
      on.state();
      await pause(patience(failures));
    }
  }
};

// Reads the stream until it ends; a stream that says nothing for long has ended too.
const read = async (mine) => {
  const stream = new AbortController();
  const end = () => stream.abort();
  mine.signal.addEventListener('abort', end);
  document.addEventListener('visibilitychange', end);
  let timer;
  try {
    const response = await fetch(`${BASE}/${kept.session}/events`, {
      headers: headers({ 'last-event-id': String(link.last) }), signal: stream.signal, cache: 'no-store',
    });
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      throw Object.assign(new Error(problem.detail), { status: response.status, problem });
    }
    link.away = false;
    on.state();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = '', part; ;) {
      clearTimeout(timer);
      timer = setTimeout(end, 40000);
      part = await reader.read();
      if (part.done) return;
      const events = (text + part.value).split('\n\n');
      text = events.pop();
      events.forEach(event);
    }
  } catch (error) {
    // Ended by ourselves, to look at it in another way.
    if (stream.signal.aborted && navigator.onLine && !error.status) return;
    throw error;
  } finally {
    clearTimeout(timer);
    end();
    mine.signal.removeEventListener('abort', end);
    document.removeEventListener('visibilitychange', end);
  }
};
const event = (text) => {
  const of = (field) => text.split('\n').filter((line) => line.startsWith(field)).map((line) => line.slice(field.length).trim()).join('\n');
  const data = of('data:');
  if (!data) return;
  if (of('event:') === 'waits') {
    link.waits = JSON.parse(data);
    // A conversation that begins with the wish for a person has no line that says so.
    if (link.waits && link.owner === 'bot') link.owner = 'queued';
  } else take([JSON.parse(data)]);
  on.state();
};

