// Follows /live with an EventSource, which goes on where it was after a break; tells `listener` what comes.
// It begins with what happened since then (Unix ms, by the server's clock).

const TYPES = [
  "call.started", "call.answered", "call.ended", "call.closed", "outcome.applied",
  "delivery.succeeded", "delivery.failed", "outcomes.changed", "endpoint.disabled",
];
const RETRY_MS = 3_000;

export function follow(listener, since) {
  let last = "";
  let wasAway = false;
  let source = null;
  let stopped = false;

  function connect() {
    source = new EventSource(last ? `/live?after=${last}` : `/live?since=${since}`);
    source.onopen = () => {
      listener({ state: "on", returned: wasAway });
      wasAway = false;
    };
    source.onerror = () => {
      listener({ state: "away" });
      wasAway = true;
      // The browser tries again by itself unless it was refused: because the session has ended, or the server is busy.
      if (source.readyState === EventSource.CLOSED && !stopped) askWhy();
    };
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        last = event.lastEventId;
        listener({ state: "on", event: JSON.parse(event.data) });
      });
    }
  }

  async function askWhy() {
    try {
      const answer = await fetch("/session", { headers: { Accept: "application/json" } });
      if (answer.status === 401) {
        listener({ state: "ended" });
        return;
      }
    } catch {
      // The server is away.
    }
    if (!stopped) setTimeout(connect, RETRY_MS);
  }

  connect();
  return () => {
    stopped = true;
    source.close();
  };
}
