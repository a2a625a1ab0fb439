// Reads /events. Not by EventSource, which cannot send the header with the token; so it connects again by itself.

const kSilentMs = 5000; // an event comes each second
const kRetryMs = [500, 1000, 2000, 4000];

export class Unauthorized extends Error {}

// Events of a text/event-stream, as they come. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
async function* events(response, onBytes) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onBytes();
    rest += value;
    let end;
    while ((end = rest.indexOf('\n\n')) >= 0) {
      const event = {};
      for (const line of rest.slice(0, end).split('\n')) {
        const colon = line.indexOf(': ');
        event[line.slice(0, colon)] = line.slice(colon + 2);
      }
      rest = rest.slice(end + 2);
      yield event;
    }
  }
}

async function follow(headers, onEvent) {
  const giveUp = new AbortController();
  let timer;
  const onBytes = () => {
    clearTimeout(timer);
    timer = setTimeout(() => giveUp.abort(new Error('nothing is heard')), kSilentMs);
  };
  onBytes();
  try {
    const response = await fetch('/events', { headers: headers(), signal: giveUp.signal, cache: 'no-store' });
    if (response.status === 401) throw new Unauthorized();
    if (!response.ok) throw new Error((await response.text()).trim());
    for await (const event of events(response, onBytes)) onEvent(event.event, JSON.parse(event.data));
    throw new Error('it has ended');
  } finally {
    clearTimeout(timer);
    giveUp.abort();
  }
}

// Never returns. `headers()`: of the request; `onEvent(name, data)`; `onLost(why)`: it is tried again;
// `unauthorized()`: resolves when there is another token.
export async function watch({ headers, onEvent, onLost, unauthorized }) {
  for (let tries = 0; ; ++tries) {
    try {
      await follow(headers, (name, data) => {
        tries = 0;
        onEvent(name, data);
      });
    } catch (error) {
      if (error instanceof Unauthorized) {
        await unauthorized();
        tries = -1;
        continue;
      }
      onLost(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, kRetryMs[Math.min(tries, kRetryMs.length - 1)]));
  }
}
