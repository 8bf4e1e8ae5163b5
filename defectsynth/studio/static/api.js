/** What the page asks the studio for. */

const HEADERS = { "Content-Type": "application/json", "X-Defectsynth-Studio": "1" };

/** What the studio says is wrong, in its own words. */
export class Refused extends Error {}

async function checked(answer) {
  if (answer.ok) return answer;
  let told;
  try {
    told = (await answer.json()).error;
  } catch {
    told = `the studio answered ${answer.status}`;
  }
  throw new Refused(told);
}

async function reached(request) {
  try {
    return await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the studio cannot be reached: is its terminal still open?");
  }
}

export async function get(path) {
  return (await checked(await reached(fetch(path)))).json();
}

async function send(path, values, signal) {
  return checked(await reached(fetch(path, { method: "POST", headers: HEADERS, body: JSON.stringify(values), signal })));
}

export async function post(path, values, signal) {
  return (await send(path, values, signal)).json();
}

/** A picture or another file, with the answer's headers. */
export async function file(path, values, signal) {
  const answer = await send(path, values, signal);
  return { blob: await answer.blob(), headers: answer.headers };
}

export async function upload(path, form) {
  const headers = { "X-Defectsynth-Studio": "1" };
  return (await checked(await reached(fetch(path, { method: "POST", headers, body: form })))).json();
}

/** Samples as they are painted: each is a length, a line of JSON, and the bytes of its pictures. */
export async function* samples(values, signal) {
  const reader = (await send("/api/samples", values, signal)).body.getReader();
  let held = new Uint8Array(0);
  async function take(count) {
    while (held.length < count) {
      const { done, value } = await reader.read();
      if (done) return null;
      const joined = new Uint8Array(held.length + value.length);
      joined.set(held);
      joined.set(value, held.length);
      held = joined;
    }
    const taken = held.slice(0, count);
    held = held.slice(count);
    return taken;
  }
  for (;;) {
    const length = await take(4);
    if (!length) return;
    const told = JSON.parse(new TextDecoder().decode(await take(new DataView(length.buffer).getUint32(0))));
    const pictures = {};
    for (const one of told.pictures ?? []) pictures[one.view] = new Blob([await take(one.bytes)], { type: one.type });
    yield { ...told, pictures };
  }
}
