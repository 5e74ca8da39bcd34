/* The zhida widget: a bubble in the page, and a frame of ours behind it.
 * data-site, data-lang zh|en, data-theme light|dark, data-side left|right, data-accent, data-open;
 * --zhida-accent, --zhida-x, --zhida-y, --zhida-z.
 * zhida('open' | 'close' | 'toggle' | 'reset'), zhida('identify', JWT), zhida('on', EVENT, FUNCTION):
 * ready, open, close, message {role, unread}, unread N, expired (a new JWT is wanted).
 * Before it has loaded: window.zhida = function () { (zhida.q = zhida.q || []).push(arguments) } */
(() => {
  'use strict';
  const script = document.currentScript;
  const before = window.zhida;
  // Whoever includes it twice has one widget.
  if (!script || (before && before.site)) return;
  const set = script.dataset;
  const origin = new URL(script.src).origin;
  const address = origin + '/widget/' + encodeURIComponent(set.site || '');
  const language = set.lang || document.documentElement.lang || navigator.language || 'zh';
  const lang = /^zh/i.test(language) ? 'zh' : 'en';
  const [talk, open, shut, unread] = lang === 'zh'
    ? ['客服对话', '打开客服对话', '关闭客服对话', ' 条未读']
    : ['Chat with us', 'Open chat', 'Close chat', ' unread'];
  // Whether a person may still write: then the frame is there from the start on other pages too.
  const LIVE = 'zhida-live-' + set.site;

  const node = (name, attributes, ...inner) => {
    const made = document.createElement(name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.append(...inner);
    return made;
  };
  const remembered = (value) => {
    // Pages may be without storage; then nobody remembers.
    try {
      if (value === undefined) return localStorage.getItem(LIVE);
      value ? localStorage.setItem(LIVE, '1') : localStorage.removeItem(LIVE);
    } catch { /* nothing to remember it with */ }
  };

  // What the page says of every element cannot reach in here: importance counts the
  // other way round inside, and `all` takes back what is inherited.
  const side = set.side === 'left' ? 'left' : 'right';
  const CSS = `
:host{all:initial!important;display:block!important;position:fixed!important;z-index:var(--zhida-z,2147483000)!important;
bottom:calc(var(--zhida-y,20px) + env(safe-area-inset-bottom))!important;${side}:var(--zhida-x,20px)!important;
font:16px/1.5 system-ui,sans-serif!important;color-scheme:light dark!important}
button{all:unset;box-sizing:border-box;display:grid;place-items:center;width:56px;height:56px;border-radius:50%;cursor:pointer;
background:var(--zhida-accent,#1f5fd0);color:var(--on,#fff);box-shadow:0 4px 16px #0005}
button:focus-visible{outline:3px solid #fff;box-shadow:0 0 0 6px #111}
svg{width:28px;height:28px;fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
b{position:absolute;top:-4px;right:-4px;min-width:22px;height:22px;box-sizing:border-box;padding:0 6px;border-radius:11px;
background:#b3261e;color:#fff;font:600 13px/22px system-ui,sans-serif;text-align:center}
[hidden]{display:none!important}
[role=dialog]{position:fixed;bottom:calc(var(--zhida-y,20px) + 68px);${side}:var(--zhida-x,20px);
width:min(400px,calc(100vw - 32px));height:min(640px,calc(100vh - 108px));border-radius:16px;overflow:hidden;
background:Canvas;box-shadow:0 8px 40px #0006;animation:in .18s ease-out}
iframe{display:block;width:100%;height:100%;border:0}
@keyframes in{from{opacity:0;transform:translateY(12px)}}
@media(max-width:480px){[role=dialog]{inset:0;width:100%;height:100%;height:100dvh;border-radius:0}}
@media(prefers-reduced-motion:reduce){[role=dialog]{animation:none}}`;

  const home = document.createElement('zhida-widget');
  const root = home.attachShadow({ mode: 'closed' });
  try {
    // Not an inline style: a strict policy of the page does not forbid it.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.append(node('style', {}, CSS));
  }
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const ICON = 'M4 5h16v11h-9l-5 4v-4H4zM8 10h8';
  path.setAttribute('d', ICON);
  svg.append(path);
  const badge = node('b', { 'aria-hidden': 'true', hidden: '' });
  const bubble = node('button', { type: 'button', 'aria-haspopup': 'dialog' }, svg, badge);
  const dialog = node('div', { role: 'dialog', 'aria-label': talk, lang, hidden: '' });
  home.lang = lang;
  root.append(dialog, bubble);

  const heard = {};
  let frame, ready, shown, count = 0, identity, back, barred, forgets;

  const tell = (event, detail) => (heard[event] || []).forEach((hear) => {
    // What breaks in the page must not break the widget.
    try { hear(detail); } catch (error) { console.error(error); }
  });
  const send = (type, value) => ready && frame.contentWindow.postMessage({ zhida: type, value }, origin);

  const label = () => {
    const name = shown ? shut : open;
    bubble.setAttribute('aria-label', count && !shown ? `${name}（${count}${unread}）` : name);
    bubble.setAttribute('aria-expanded', String(!!shown));
    badge.textContent = count > 9 ? '9+' : count;
    badge.hidden = !count || !!shown;
    path.setAttribute('d', shown ? 'M6 6l12 12M18 6L6 18' : ICON);
  };

  // Black or white, whatever can be read on the accent.
  const colours = () => {
    if (set.accent) home.style.setProperty('--zhida-accent', set.accent);
    const accent = getComputedStyle(bubble).backgroundColor;
    const [red, green, blue] = (accent.match(/[\d.]+/g) || [0, 0, 0]).map((part) => {
      const share = part / 255;
      return share > 0.04045 ? ((share + 0.055) / 1.055) ** 2.4 : share / 12.92;
    });
    const on = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? '#000' : '#fff';
    bubble.style.setProperty('--on', on);
    return { accent: getComputedStyle(home).getPropertyValue('--zhida-accent') && accent, on };
  };

  const load = () => {
    if (frame) return;
    // A page that is isolated shows no frame that is not.
    frame = node('iframe', { title: talk, src: address + (window.crossOriginIsolated ? '?isolated=true' : '') });
    dialog.append(frame);
  };

  const show = (value) => {
    if (value === !!shown) return;
    if (value && barred) {
      // The page's policy forbids the frame; a window of its own it cannot forbid.
      window.open(address + '#' + lang, '_blank', 'noopener');
      return;
    }
    shown = value;
    if (value) {
      back = document.activeElement;
      load();
      dialog.hidden = false;
      frame.focus();
      send('show');
    } else {
      dialog.hidden = true;
      send('hide');
      // To where it came from; the page may have taken that away.
      (back && back !== document.body && back !== home && back.isConnected ? back : bubble).focus();
    }
    if (value) count = 0;
    label();
    tell(value ? 'open' : 'close');
  };

  const from = {
    // The panel asks for what it needs to know, and hears what the page wanted before.
    hello() {
      ready = true;
      send('config', { lang, theme: set.theme, identity, forgets, shown: !!shown, ...colours() });
      forgets = false;
    },
    ready: () => tell('ready'),
    close: () => show(false),
    unread(value) {
      count = shown ? 0 : value;
      label();
      tell('unread', count);
    },
    message: (value) => tell('message', value),
    live: (value) => remembered(!!value),
    expired() {
      identity = undefined;
      tell('expired');
    },
  };

  addEventListener('message', ({ source, origin: whose, data }) => {
    if (!frame || source !== frame.contentWindow || whose !== origin || !data) return;
    const answer = Object.hasOwn(from, data.zhida) && from[data.zhida];
    if (answer) answer(data.value);
  });

  // Where the page may not frame us, the next press opens a window.
  document.addEventListener('securitypolicyviolation', (event) => {
    if (!frame || !/^(frame|child|default)-src/.test(event.effectiveDirective) || !event.blockedURI.startsWith(origin)) return;
    barred = true;
    frame.remove();
    const wanted = shown;
    shown = false;
    dialog.hidden = true;
    label();
    if (wanted) show(true);
  });

  bubble.addEventListener('click', () => show(!shown));
  home.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && shown) show(false);
  });

  const can = {
    open: () => show(true),
    close: () => show(false),
    toggle: () => show(!shown),
    on(event, hear) {
      (heard[event] = heard[event] || []).push(hear);
      if (event === 'ready' && ready) tell('ready');
    },
    identify(jwt) {
      identity = jwt;
      send('identify', jwt);
    },
    reset() {
      identity = undefined;
      remembered(false);
      // What is kept is kept behind the frame, which may not have been opened yet.
      if (ready) send('reset');
      else forgets = true;
      load();
    },
  };
  const call = (name, ...rest) => {
    if (Object.hasOwn(can, name)) return can[name](...rest);
    console.error(`zhida: there is no "${name}"; there are ${Object.keys(can).join(', ')}`);
  };
  call.site = set.site;
  window.zhida = call;

  const begin = () => {
    // Not into the body: what transforms that one moves what is fixed in it.
    document.documentElement.append(home);
    label();
    colours();
    ((before && before.q) || []).forEach((waiting) => call(...waiting));
    if ('open' in set) show(true);
    else if (remembered()) load();
  };
  document.body ? begin() : addEventListener('DOMContentLoaded', begin);
})();
