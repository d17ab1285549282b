// A small server on top of the package ws, for scripts/bench: node ws.js PORT PIPE.
const { WebSocketServer } = require("ws");
const events = require("./events.js");

const topics = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 65535 });

server.on("connection", (socket) => {
  const mine = [];
  socket.on("message", (text) => {
    const { topic } = JSON.parse(text);
    if (!topics.has(topic)) topics.set(topic, new Set());
    topics.get(topic).add(socket);
    mine.push(topic);
    socket.send(`{"op":"snapshot","id":1,"topic":"${topic}","epoch":"ws","seq":0,"data":{}}`);
  });
  socket.on("close", () => mine.forEach((topic) => topics.get(topic).delete(socket)));
});

events(process.argv[3], (topic, data) => {
  const text = Buffer.from(`{"op":"event","topic":"${topic}","seq":0,"data":${data}}`);
  for (const socket of topics.get(topic) ?? []) socket.send(text, { binary: false });
});
