// Pictures, for a person to look at. What a file is, the server finds out by its content.

const LARGEST = 5 * 1024 * 1024;
const FAULTS = { 413: 'large', 422: 'kinds', 429: 'many', 409: 'nobody' };

// One that was shown: only this visitor gets it, so it is fetched and not linked.
const picture = (one) => {
  const named = one.name ? `${words.picture} ${one.name}` : words.picture;
  const image = make('img', { class: 'picture', alt: named });
  fetch(`${BASE}/${kept.session}/pictures/${one.id}`, { headers: headers() })
    .then((response) => response.ok ? response.blob() : Promise.reject(new Error(response.status)))
    .then((blob) => {
      image.onload = () => { if (image.getBoundingClientRect().top < innerHeight + 400) end(); };
      image.src = URL.createObjectURL(blob);
    })
    .catch(() => {
      const again = press(`${named} ↻`, () => again.replaceWith(picture(one)));
      image.replaceWith(again);
    });
  return image;
};

const showPicture = (file, id = name()) => {
  const named = `${words.picture} ${file.name}`;
  const fail = (why) => {
    const shown = $(`out-${id}`);
    if (shown) shown.remove();
    const made = says('customer', [named]);
    made.classList.add('failed');
    made.append(make('p', { class: 'fault', role: 'alert' }, `${words.failed}：${why} `,
      press(words.again, () => { made.remove(); showPicture(file, id); })));
    add(made, true);
  };
  if (file.size > LARGEST) return fail(words.large);
  const bar = make('progress', { max: 1, value: 0, 'aria-label': words.uploading });
  const made = says('customer', [named, bar], { id: `out-${id}` });
  made.classList.add('pending');
  $('pending').append(made);
  end();
  // Only this tells how far it is.
  const sending = new XMLHttpRequest();
  sending.open('POST', `${BASE}/${kept.session}/pictures?client_id=${id}&after=${link.last}&name=${encodeURIComponent(file.name.slice(-100))}`);
  const told = headers({ 'content-type': 'application/octet-stream' });
  for (const one in told) sending.setRequestHeader(one, told[one]);
  sending.responseType = 'json';
  sending.timeout = 120000;
  sending.upload.onprogress = ({ loaded, total }) => { if (total) bar.value = loaded / total; };
  sending.onload = () => {
    const { status, response } = sending;
    if (status === 200) {
      made.remove();
      stands(response);
      follow();
    } else {
      fail(words[FAULTS[status]] || words.wrong);
      if (status === 401) refused({ status, problem: response || {} });
    }
  };
  sending.onerror = sending.ontimeout = () => fail(words.wrong);
  sending.send(file);
};
