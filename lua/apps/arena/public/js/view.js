/* Draws a room: the field on the canvas, the scores as a list. */

const RADIUS = 14; // of a player, as the host has it
const GEM = 9;

const canvas = document.getElementById("field");
const pen = canvas.getContext("2d");

export function drawField(room) {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (!room.moment) return;
  drawGem(room.moment.gem);
  for (const place of room.moment.players) drawPlayer(place, room.players.get(place.id));
}

function drawGem({ x, y }) {
  pen.fillStyle = "#e0a526";
  pen.beginPath();
  pen.moveTo(x, y - GEM);
  pen.lineTo(x + GEM, y);
  pen.lineTo(x, y + GEM);
  pen.lineTo(x - GEM, y);
  pen.fill();
}

function drawPlayer({ x, y }, player) {
  pen.fillStyle = player?.colour ?? "gray";
  pen.beginPath();
  pen.arc(x, y, RADIUS, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.textAlign = "center";
  pen.fillText(player?.name ?? "", x, y - RADIUS - 4);
}

export function showScores(room) {
  document.getElementById("title").textContent = room.title;
  const items = [...room.players.values()].map(({ id, name, points }) => {
    const item = document.createElement("li");
    item.dataset.player = id;
    item.append(span(name), span(points));
    return item;
  });
  document.getElementById("scores").replaceChildren(...items);
}

function span(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}
