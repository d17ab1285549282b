-- The scenario `compression`: the server's codec by itself takes the place of server and clients.
local process = require "bench.lib.process"

local M = {}

--- A "server" that compresses at that level.
function M.at(level)
  return function(context, _, arguments)
    return process.run(context.bin .. "/bench_compression", {
      core = context.server_core,
      args = { "of=" .. arguments.of, "level=" .. level, "messages=" .. arguments.messages },
    })
  end
end

return M
