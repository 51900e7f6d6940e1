// What is asked of the server, and what is said to it. What is said goes one after another, and counts only when the
// server has it on disk.

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export const events = new EventTarget();
const RETRY_MS = 700;
const MOST_RETRIES = 90;
let line = Promise.resolve();
let waiting = 0;

async function answer(response) {
  if (response.ok) return response;
  let message = `${response.status} ${response.statusText}`;
  try {
    message = (await response.json()).error ?? message;
  } catch {
    // a refusal that is no document has its status alone
  }
  throw new Refused(message, response.status);
}

export async function ask(path, told = {}, signal = undefined) {
  const values = Object.entries(told).filter(([, value]) => value !== undefined && value !== null);
  const query = new URLSearchParams(values).toString();
  const response = await fetch(query ? `${path}?${query}` : path, { signal });
  return (await answer(response)).json();
}

export async function askPicture(path, told, signal = undefined) {
  const response = await answer(await fetch(`${path}?${new URLSearchParams(told)}`, { signal }));
  return URL.createObjectURL(await response.blob());
}

export async function post(path, told, signal = undefined) {
  const headers = { "content-type": "application/json" };
  return answer(await fetch(path, { method: "POST", headers, body: JSON.stringify(told), signal }));
}

async function saidNow(told) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await (await post("api/say", told)).json();
    } catch (error) {
      // The store is held for a moment, as by a run that commits a chunk: nothing was taken, and it is said again.
      if (!(error instanceof Refused) || error.status !== 503 || tries >= MOST_RETRIES) throw error;
      tell("waiting", { message: error.message });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function tell(kind, detail = {}) {
  events.dispatchEvent(new CustomEvent(kind, { detail: { ...detail, waiting } }));
}

export function say(told) {
  waiting += 1;
  tell("saying");
  const said = line.then(() => saidNow(told));
  line = said.then(
    (done) => {
      waiting -= 1;
      tell("said", done);
    },
    (error) => {
      waiting -= 1;
      tell("failed", { message: error instanceof Refused ? error.message : "not said: the server does not answer" });
    },
  );
  return said;
}

export const isWaiting = () => waiting > 0;
