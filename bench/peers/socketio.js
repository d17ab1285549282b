// A small server on top of socket.io, for scripts/bench: node socketio.js PORT PIPE.
const { Server } = require("socket.io");
const { createServer } = require("node:http");
const events = require("./events.js");

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });

io.on("connection", (socket) => {
  socket.on("subscribe", (topic) => {
    socket.join(topic);
    socket.emit("subscribed", topic);
  });
});

events(process.argv[3], (topic, data) => io.to(topic).emit("event", topic, JSON.parse(data)));
http.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 65535 });
