// Pictures, for a person to look at. What a file is, the server finds out by its content.

const LARGEST = 5 * 1024 * 1024;
const FAULTS = { 413: 'large', 422: 'kinds', 429: 'many', 409: 'nobody' };

// Tries again what passes, a few times; a picture that is too many does not pass soon.
const patiently = async (attempt) => {
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!passes(error) || failures >= 5 || (error.problem || {}).field === 'picture') throw error;
      await pause(Math.max(patience(failures), (error.after || 0) * 1000));
    }
  }
};

// One that was shown: only this visitor gets it, so it is fetched and not linked.
const picture = (one) => {
  const named = one.name ? `${words.picture} ${one.name}` : words.picture;
  const image = make('img', { class: 'picture', alt: named });
  patiently(async () => {
    const response = await fetch(`${BASE}/${kept.session}/pictures/${one.id}`, { headers: headers() });
    if (!response.ok) throw Object.assign(new Error(), { status: response.status, after: +response.headers.get('retry-after') });
    return response.blob();
  }).then((blob) => {
    image.onload = () => { if (image.getBoundingClientRect().top < innerHeight + 400) end(); };
    image.src = URL.createObjectURL(blob);
  }).catch(() => {
    const again = press(`${named} ↻`, () => again.replaceWith(picture(one)));
    image.replaceWith(again);
  });
  return image;
};

// Only this way of asking tells how far it is.
const put = (file, id, bar) => new Promise((done, fail) => {
  const sending = new XMLHttpRequest();
  sending.open('POST', `${BASE}/${kept.session}/pictures?client_id=${id}&after=${link.last}&name=${encodeURIComponent(file.name.slice(-100))}`);
  const told = headers({ 'content-type': 'application/octet-stream' });
  for (const one in told) sending.setRequestHeader(one, told[one]);
  sending.responseType = 'json';
  sending.timeout = 120000;
  sending.upload.onprogress = ({ loaded, total }) => { if (total) bar.value = loaded / total; };
  sending.onload = () => {
    const { status, response } = sending;
    if (status === 200) done(response);
    else fail({ status, problem: response || {}, after: +sending.getResponseHeader('retry-after') });
  };
  sending.onerror = sending.ontimeout = () => fail({});
  sending.send(file);
});

let uploads = Promise.resolve();
const showPicture = (file, id = name()) => {
  const named = `${words.picture} ${file.name}`;
  const bar = make('progress', { max: 1, value: 0, 'aria-label': words.uploading });
  const made = says('customer', [named, bar], { id: `out-${id}` });
  made.classList.add('pending');
  const fail = (why, passing = true) => {
    made.remove();
    const lost = says('customer', [named]);
    lost.classList.add('failed');
    // What it is does not change by trying again.
    lost.append(make('p', { class: 'fault', role: 'alert' }, `${words.failed}：${why} `,
      passing ? press(words.again, () => { lost.remove(); showPicture(file, id); }) : ''));
    add(lost, true);
  };
  if (file.size > LARGEST) return fail(words.large, false);
  $('pending').append(made);
  end();
  // One after the other: they come in the order in which they were chosen.
  uploads = uploads.then(() => patiently(() => put(file, id, bar))).then((standing) => {
    made.remove();
    stands(standing);
    follow();
  }).catch((error) => {
    const told = /over-quota$/.test((error.problem || {}).type) ? 'wrong' : FAULTS[error.status];
    fail(words[told] || words.wrong, error.status !== 422 && error.status !== 413);
    if (error.status === 401) refused(error);
  });
};
