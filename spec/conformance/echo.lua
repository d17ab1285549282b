-- Sends every message back: what a suite of conformance tests needs from a server.

local leat = require "leat"

local app = leat.app()

app:websocket("/echo", {
  message = function(conn, data, kind) conn:send(data, kind) end,
}, { public = true })

return app
