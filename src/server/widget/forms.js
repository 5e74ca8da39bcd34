// What is filled in: whether it helped, how it was, and a question that is left behind.

const rated = (trace) => (kept.rated || {})[trace];
const rate = (trace, what) => {
  const all = Object.entries({ ...kept.rated, [trace]: what }).slice(-100);
  keep({ rated: Object.fromEntries(all) });
  // It is no conversation: what is lost here is asked for nowhere.
  call(`/${kept.session}/feedback`, { trace_id: trace, ...what }).catch(() => {});
};

const helped = ({ trace_id: trace }) => {
  const made = make('div', { class: 'helped', role: 'group', 'aria-label': words.helped });
  const thank = (solved) => {
    made.replaceChildren(make('p', { tabindex: '-1' }, solved ? words.thanks : words.sorry));
    if (!solved) made.append(press(words.person, () => say(PERSON)));
  };
  const answer = (solved) => {
    rate(trace, { solved });
    thank(solved);
    // What was pressed is gone; whoever pressed it by key stays here.
    made.firstChild.focus();
  };
  const before = rated(trace);
  if (before && 'solved' in before) thank(before.solved);
  else made.append(make('span', {}, words.helped), press(words.yes, () => answer(true)), press(words.no, () => answer(false)));
  return made;
};

// After a person has ended it: stars, for the last thing that the robot said.
const stars = (trace) => {
  const made = make('div', { class: 'stars', role: 'group', 'aria-label': words.rate }, make('p', {}, words.rate));
  for (let rating = 1; rating <= 5; rating++) {
    made.append(press('★', () => {
      rate(trace, { rating });
      made.replaceChildren(make('p', { tabindex: '-1' }, `${words.thanks} · ${words.stars(rating)}`));
      made.firstChild.focus();
    }, { 'aria-label': words.stars(rating) }));
  }
  return made;
};

// The form that the service document describes.
const form = (ticket) => {
  const id = name();
  const sheet = $('sheet');
  const close = () => {
    sheet.hidden = true;
    sheet.replaceChildren();
    $('text').focus();
  };
  const kinds = { phone: ['tel', 'tel'], email: ['email', 'email'], contact: ['text', 'on'] };
  const fields = ticket.fields.map((field) => {
    const set = { id: `f-${field.name}`, name: field.name, maxlength: field.max_chars, 'aria-required': String(!!field.required), 'aria-describedby': `e-${field.name}` };
    const [type, complete] = kinds[field.kind] || ['text', field.name === 'name' ? 'name' : 'off'];
    const input = field.kind === 'long' ? make('textarea', { ...set, rows: 4 })
      : field.kind === 'choice' ? make('select', set, make('option', { value: '' }, words.choose), ...field.options.map((one) => make('option', {}, one)))
      : make('input', { ...set, type, autocomplete: complete });
    const fault = make('p', { class: 'fault', id: `e-${field.name}` });
    const label = make('label', { for: set.id }, field.label, field.required ? words.required : '');
    return { field, input, fault, all: make('div', { class: 'field' }, label, input, fault) };
  });
  const told = make('p', { class: 'fault', role: 'alert' });
  const mark = (faults) => {
    for (const { field, input, fault } of fields) {
      const found = faults.find((one) => one.field === field.name);
      fault.textContent = found ? found.message : '';
      found ? input.setAttribute('aria-invalid', 'true') : input.removeAttribute('aria-invalid');
    }
    const first = fields.find(({ input }) => input.hasAttribute('aria-invalid'));
    if (first) first.input.focus();
  };
  const submit = make('button', { class: 'main' }, words.submit);
  const made = make('form', { novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    told.textContent = '';
    const filled = Object.fromEntries(fields.map(({ field, input }) => [field.name, input.value]));
    try {
      const { message } = await call(`/${kept.session}/tickets`, { fields: filled, client_id: id });
      const notes = [...(kept.notes || []), { after: link.last, text: message }].slice(-20);
      keep({ notes });
      close();
      add(says('bot', linked(message)), true);
    } catch (error) {
      const faults = (error.problem || {}).problems || [];
      mark(faults);
      told.textContent = faults.length ? words.few : words.wrong;
    }
    submit.disabled = false;
  } }, make('p', {}, ticket.intro), ...fields.map(({ all }) => all), told,
  make('div', { class: 'foot' }, press(words.cancel, close), submit));
  // What was asked already need not be typed again.
  const long = fields.find(({ field }) => field.kind === 'long');
  if (long && kept.asked) long.input.value = kept.asked;
  sheet.replaceChildren(make('h2', { id: 'leave' }, words.leave), made);
  sheet.hidden = false;
  sheet.onkeydown = (event) => {
    // An input method ends with it too.
    if (event.key === 'Escape' && !event.isComposing && event.keyCode !== 229) { event.stopPropagation(); close(); }
  };
  if (fields[0]) fields[0].input.focus();
};

