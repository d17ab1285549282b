/* The connection's state: a lamp, a word, and the seconds until the next attempt. */

import { byId } from "./dom.js";

let shown = null; // the session whose seconds are counted
let ticker = 0;
let announced = "";

byId("retry-now").addEventListener("click", () => shown.leat.reconnect());

export function showConnection(session) {
  shown = session;
  clearInterval(ticker);
  if (session.connection.state === "waiting") ticker = setInterval(draw, 1000);
  draw();
  announce();
}

function draw() {
  const { state, retryAt, wasLive } = shown.connection;
  const offline = state === "waiting" && !navigator.onLine;
  byId("connection").dataset.state = offline ? "offline" : state;
  byId("retry-now").hidden = state !== "waiting";
  byId("connection-text").textContent = {
    connecting: wasLive ? "Reconnecting" : "Connecting",
    live: "Live",
    waiting: waiting(offline, wasLive, Math.ceil((retryAt - Date.now()) / 1000)),
    sleeping: "Asleep",
  }[state];
}

function waiting(offline, wasLive, seconds) {
  const soon = seconds > 1 ? ` in ${seconds} s` : "";
  if (offline) return `Offline, trying again${soon}`;
  return wasLive ? `Reconnecting${soon}` : `No answer, trying again${soon}`;
}

// For those who listen: when it is lost and when it is back, not every second.
function announce() {
  const { state, wasLive } = shown.connection;
  const sentence =
    state === "live" ? "Connected." : wasLive ? "Connection lost. Reconnecting." : "";
  if (sentence !== announced) byId("connection-announcer").textContent = announced = sentence;
}
