// What is seen. Words are put in as text and never as HTML, whoever wrote them.

const $ = (id) => document.getElementById(id);
const make = (tag, set = {}, ...inner) => {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(set)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value != null && value !== false) made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...inner.filter((one) => one != null));
  return made;
};
const press = (text, press, set) => make('button', { type: 'button', onclick: press, ...set }, text);

// Addresses in a text become links; anything but http and https stays a text.
const LINK = /https?:\/\/[^\s<>"'`，。；：！？、（）【】《》“”]+/g;
const linked = (text) => {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(LINK)) {
    const address = found[0].replace(/[.,;:!?)\]}]+$/, '');
    let url;
    try { url = new URL(address); } catch { continue; }
    // A name in front of the host makes it look like another one.
    if (url.username || url.password) continue;
    parts.push(text.slice(from, found.index));
    parts.push(make('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow' }, address));
    from = found.index + address.length;
  }
  return [...parts, text.slice(from)];
};

const says = (role, content, set = {}) => {
  const who = { bot: words.robot, agent: words.agent, customer: words.you }[role];
  const said = make('div', { class: 'words' }, make('span', { class: 'unseen' }, `${who}${words === WORDS.zh ? '：' : ': '}`), ...content);
  return make('div', { class: `line ${role}`, ...set }, said);
};
const note = (text) => make('p', { class: 'note' }, text);

const options = (title, list, more) => make('div', { class: 'options', role: 'group', 'aria-label': title },
  make('p', { class: 'name', 'aria-hidden': 'true' }, title),
  ...list.map(({ entry, question }) => press(question, () => say(question, entry))), ...(more || []));

const end = () => { $('log').scrollTop = $('log').scrollHeight; };
// To the end, unless somebody reads further up.
const add = (made, always) => {
  const log = $('log');
  const near = log.scrollHeight - log.scrollTop - log.clientHeight < 120;
  $('lines').append(made);
  if (near || always) end();
};

let day = '';
const moment = (at) => {
  const when = new Date(at);
  const told = when.toLocaleDateString(words.lang, { month: 'short', day: 'numeric' });
  if (told === day || Number.isNaN(+when)) return null;
  day = told;
  const today = new Date().toDateString() === when.toDateString();
  return make('p', { class: 'note' }, make('time', { datetime: at },
    `${today ? '' : told + ' '}${when.toLocaleTimeString(words.lang, { hour: '2-digit', minute: '2-digit' })}`));
};

// What an answer shows beside its words. Pictures come from where the author has put
// them, and only over https; which page shows them is not told there.
const beside = (one) => {
  const open = { target: '_blank', rel: 'noopener noreferrer nofollow' };
  const safe = (url) => /^https?:\/\//i.test(url || '');
  const photo = (url, alt) => /^https:/i.test(url || '')
    ? make('img', {
      src: url, alt, decoding: 'async', referrerpolicy: 'no-referrer',
      onload: ({ target }) => { if (target.getBoundingClientRect().top < innerHeight + 400) end(); },
      onerror: ({ target }) => target.replaceWith(alt),
    })
    : null;
  const pictures = (one.images || []).filter(({ url }) => safe(url)).map(({ url, alt }) => {
    const name = alt || words.picture;
    return make('a', { class: 'shown', href: url, ...open }, photo(url, name) || name);
  });
  const cards = (one.links || []).filter(({ url }) => safe(url)).map(({ title, url, text, image }) =>
    make('a', { class: 'shown card', href: url, ...open }, photo(image, ''), make('b', {}, title), text ? make('span', {}, text) : null));
  return pictures.length || cards.length ? make('div', { class: 'line beside' }, ...pictures, ...cards) : null;
};

const line = (one) => {
  const all = [moment(one.at)];
  if (one.role === 'event') {
    all.push(note(words.events[one.text] || one.text));
  } else {
    all.push(says(one.role, one.picture ? [picture(one.picture)] : linked(one.text)));
    all.push(beside(one));
    if (one.suggestions) {
      const none = one.decision === 'clarify' ? [press(words.none, () => say('都不是'))] : [];
      all.push(options(one.decision === 'clarify' ? words.choose : words.maybe, one.suggestions, none));
    }
    if (one.related) all.push(options(words.related, one.related));
    if (one.ticket) {
      if (one.opens_at) {
        const at = new Date(one.opens_at).toLocaleString(words.lang, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
        all.push(note(words.opens(at)));
      }
      all.push(make('div', { class: 'options' }, press(words.leave, () => form(one.ticket))));
    }
    if (one.is_entry && one.decision === 'answer') all.push(helped(one));
  }
  return all.filter(Boolean);
};

// A message that the server has not heard yet.
const pending = (message) => {
  const made = says('customer', linked(message.text), { id: `out-${message.id}` });
  made.classList.add('pending');
  $('pending').append(made);
  end();
};
const failed = (message, error) => {
  const made = says('customer', linked(message.text));
  made.classList.add('failed');
  made.append(make('p', { class: 'fault', role: 'alert' }, `${words.failed}：${error.status === 422 ? error.message : words.wrong} `,
    press(words.again, () => { made.remove(); say(message.text); })));
  add(made, true);
};

