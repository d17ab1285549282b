/*
 * The page of the lounge. It asks the program for what it needs once (/home, older messages) and sends it what is said;
 * what is to be seen at once comes from Leat. The address has the room: #2.
 */

import { connect } from "/leat/client.js";

const at = (id) => document.getElementById(id);
const SHOWN_AT_FIRST = 50; // as many as the snapshot has (app.lua)

let room = 1;
let messages = []; // of the room, oldest first: { id, author, body, sent_at }

async function ask(path, body) {
  const options = body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
  return answer.json();
}

// What is seen ----------------------------------------------------------------------------------------

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function draw() {
  at("messages").replaceChildren(...messages.map(({ author, body, sent_at: sentAt }) => {
    const item = element("li", body === null ? "taken-back" : "", "");
    const time = element("time", "", new Date(sentAt).toLocaleTimeString([], { timeStyle: "short" }));
    item.append(element("b", "", author), element("span", "", body ?? "taken back by the moderator"), time);
    return item;
  }));
  at("older").hidden = messages.length < SHOWN_AT_FIRST;
  at("messages").lastChild?.scrollIntoView({ block: "nearest" });
}

// What Leat tells: one snapshot, and then every change.
const topic = {
  snapshot(data) {
    at("title").textContent = data.title;
    messages = data.messages;
    draw();
  },
  event({ said, taken_back: takenBack }) {
    if (said) messages.push(said);
    else messages = messages.map((one) => (one.id === takenBack ? { ...one, body: null } : one));
    draw();
  },
};

// What is done ----------------------------------------------------------------------------------------

function enter({ name, rooms }) {
  at("door").hidden = true;
  at("room").hidden = false;
  at("draft").placeholder = `Say something, ${name}`;
  at("rooms").replaceChildren(...rooms.map(({ id, title }) => {
    const link = element("a", "", title);
    link.href = `#${id}`;
    return link;
  }));

  const leat = connect("/ws");
  leat.addEventListener("state", ({ detail }) => {
    at("connection").dataset.state = detail.state;
    at("connection").textContent = detail.state === "live" ? "" : detail.state;
  });
  let subscription = null;
  const follow = () => {
    room = Number(location.hash.slice(1)) || rooms[0].id;
    subscription?.close();
    subscription = leat.subscribe(`room:${room}`, topic);
  };
  addEventListener("hashchange", follow);
  follow();
}

at("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  await ask("/session", { name: at("name").value });
  enter(await ask("/home"));
});

at("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = at("draft").value;
  at("draft").value = "";
  await ask(`/rooms/${room}/messages`, { body }).catch(() => {
    at("draft").value ||= body; // to be said again
  });
});

at("older").addEventListener("click", async () => {
  const before = messages[0].id;
  const older = await ask(`/rooms/${room}/messages?before=${before}`);
  if (messages[0].id !== before) return; // another room, or a new snapshot
  messages = [...older, ...messages];
  draw();
  at("older").hidden = older.length === 0;
});

ask("/home").then(enter, (error) => {
  at("door").hidden = error.status !== 401;
  if (error.status !== 401) at("connection").textContent = "The lounge is closed. Please come back later.";
});
