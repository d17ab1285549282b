/*
 * The page: subscribes to the room, draws what it hears, and tells the host which keys are down. The
 * address has the player's token (#token=ada-token); without one the page asks who is playing.
 */

import { connect } from "/leat/client.js";
import { watchKeys } from "./keys.js";
import { Room } from "./room.js";
import { drawField, showScores } from "./view.js";

const TOPIC = "room:1";
const HERE_MS = 1000; // the host takes a player off the field who says nothing for some seconds

export const room = new Room();

function play(token) {
  document.getElementById("login").hidden = true;
  document.getElementById("game").hidden = false;

  const leat = connect("/ws", { token });
  let keys = 0;
  const tell = () => {
    if (leat.state === "live") leat.call("input", keys).catch(() => {}); // the next one comes soon
  };
  leat.addEventListener("state", ({ detail }) => {
    showState(detail.state);
    tell();
  });
  leat.subscribe(TOPIC, {
    snapshot(data) {
      room.snapshot(data);
      showScores(room);
    },
    event(data) {
      room.event(data);
      showScores(room);
    },
    signal: (data) => room.signal(data),
  });

  watchKeys((now) => {
    keys = now;
    tell();
  });
  setInterval(tell, HERE_MS);
  requestAnimationFrame(function draw() {
    drawField(room);
    requestAnimationFrame(draw);
  });
}

function showState(state) {
  const element = document.getElementById("connection");
  element.dataset.state = state;
  element.textContent = state === "live" ? "" : state;
}

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) play(token);
addEventListener("hashchange", () => location.reload());
