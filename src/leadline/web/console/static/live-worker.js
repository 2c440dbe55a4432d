// The shared worker: one event stream for all tabs of this console. (A classic worker has no static import.)

const ports = new Set();
const RECENT_MAX = 500;
// When the newest events were made (Unix ms), for a page that comes later than what it should have been told.
let recent = [];
let stop = null;
let state = "away";

async function start(since) {
  if (stop) return;
  stop = () => {};
  const { follow } = await import("./stream.js");
  stop = follow((message) => {
    state = message.state;
    if (state === "ended") {
      stop();
      stop = null;
    }
    if (message.event) recent = [...recent.slice(1 - RECENT_MAX), madeAt(message.event.event_id)];
    for (const port of ports) port.postMessage(message);
  }, since);
}

// An id begins with its time (UUIDv7).
const madeAt = (id) => parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

function join(port, since) {
  ports.add(port);
  // What it may have missed by now, it asks for again; what comes it is told.
  const missed = Boolean(stop) && recent.some((at) => at >= since);
  port.postMessage({ state, returned: missed });
  start(since);
}

function leave(port) {
  ports.delete(port);
  if (ports.size === 0 && stop) {
    stop();
    stop = null;
  }
}

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === "bye") leave(port);
    else join(port, data.since);
  };
  port.start();
};
