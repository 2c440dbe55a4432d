// The shared worker: one event stream for all tabs of this console. (A classic worker has no static import.)

const ports = new Set();
let stop = null;
let state = "away";

async function start() {
  if (stop) return;
  stop = () => {};
  const { follow } = await import("./stream.js");
  stop = follow((message) => {
    state = message.state;
    if (state === "ended") {
      stop();
      stop = null;
    }
    for (const port of ports) port.postMessage(message);
  });
}

function leave(port) {
  ports.delete(port);
  if (ports.size === 0 && stop) {
    stop();
    stop = null;
  }
}

self.onconnect = ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = ({ data }) => {
    if (data === "bye") leave(port);
    if (data === "hello") {
      ports.add(port);
      start();
    }
  };
  port.start();
  port.postMessage({ state });
  start();
};
