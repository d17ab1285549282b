-- The test vectors of clients/protocol, of which clients in other languages are made: the server is as they say.

local protobuf = require "spec.support.protobuf"
local stage = require "spec.support.stage"
local vectors = require "spec.support.vectors"

local CENTRIFUGE = { "centrifuge/connect.json", "centrifuge/subscribe.json", "centrifuge/requests.json",
  "centrifuge/history.json", "centrifuge/subs.json", "centrifuge/refresh.json" }
local LEAT_V1 = { "README.md", "leat.v1/connect.json", "leat.v1/subscribe.json", "leat.v1/resume.json",
  "leat.v1/requests.json", "leat.v1/refusals.json", "leat.v1/malformed.json" }

-- Plays the vectors of those files in a database of its own.
local function play_all(title, files, protocol)
  describe(title, function()
    local s

    local function restart()
      s.server:send_signal("sigterm")
      return function()
        s.server.process:wait(30000)
        s:stop()
        s:serve()
      end
    end

    lazy_setup(function()
      s = stage.open { app = vectors.app, schema = vectors.schema }
      s.restart = restart
    end)
    lazy_teardown(function() s:close() end)
    after_each(function() s:settle() end)

    local function with_settings(settings, fn)
      if not settings then return fn() end
      local variables = {}
      for key, value in pairs(settings) do variables["LEAT_" .. key:upper()] = ("%d"):format(value) end
      s:stop()
      s:serve(variables)
      fn()
      s:settle()
      s:stop()
      s:serve()
    end

    for _, file in ipairs(files) do
      for _, vector in ipairs(vectors.load(file)) do
        it(("%s: %s"):format(file, vector.name), function()
          with_settings(vector.settings, function()
            for _, pattern in ipairs(vector.log or {}) do s.server:expect_log(pattern) end
            vectors.play(vector, s, protocol)
          end)
        end)
      end
    end
  end)
end

play_all("the vectors of", LEAT_V1, vectors.leat_v1)
play_all("the vectors, as JSON, of", CENTRIFUGE, vectors.centrifuge_json)
play_all("the vectors, as Protobuf, of", CENTRIFUGE, vectors.centrifuge_protobuf)

describe("the vectors of", function()
  it("centrifuge/protobuf.json: each frame is what its bytes say", function()
    for _, one in ipairs(vectors.read("centrifuge/protobuf.json").frames) do
      local bytes = vectors.base64(one.base64)
      assert.same(one.messages, protobuf.decode_frame(vectors.fields, one.type, bytes))
      assert.is_true(bytes == protobuf.encode_frame(vectors.fields, one.type, one.messages), one.name)
    end
  end)
end)
