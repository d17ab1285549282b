// Calls back with each event of a named pipe: a line "TOPIC DATA".
const fs = require("node:fs");

module.exports = function events(path, callback) {
  const stream = fs.createReadStream(null, { fd: fs.openSync(path, "r+") }); // r+: it never ends
  let rest = "";
  stream.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const space = line.indexOf(" ");
      callback(line.slice(0, space), line.slice(space + 1));
    }
  });
};
