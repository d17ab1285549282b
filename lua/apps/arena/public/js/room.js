/*
 * A room as the page knows it: what its topic has told. `players` (id, name, colour, points) come with
 * the snapshot and change by events; `moment` ({ tick, players: [{ id, x, y }], gem: { x, y } }) is
 * the newest signal.
 */
export class Room {
  title = "";
  players = new Map();
  moment = null;
  signals = 0;

  snapshot({ title, players }) {
    this.title = title;
    this.players = new Map(players.map((player) => [player.id, player]));
  }

  event(event) {
    const player = this.players.get(event.player);
    if (event.type === "score" && player) player.points = event.points;
  }

  signal(moment) {
    this.moment = moment;
    this.signals++;
  }
}
