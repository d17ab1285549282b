-- scripts/check_layers.lua reports includes that break the layers of csrc.

local tree = require "spec.support.tree"

local ANSWERS = "/* x\n *\n * Ownership  a.\n * Threads    b.\n * Units      c.\n * Errors     d.\n */\n"

--- Runs the check on these files below csrc/. A header gets an opening comment unless it has one. Returns what the
--- check prints, and whether it was content.
local function check(sources)
  local below = {}
  for name, text in pairs(sources) do
    local opening = name:find("%.h$") and not text:find("^/%*") and ANSWERS or ""
    below["csrc/" .. name] = opening .. text
  end
  return tree.run("check_layers.lua", below)
end

describe("the check of the layers", function()
  it("accepts headers of a lower rank and of the file's own directory", function()
    local printed, content = check {
      ["base/list.h"] = "",
      ["net/conn.h"] = '#include "base/list.h"\n',
      ["net/conn.c"] = '#include "net/conn.h"\n#include <uv.h>\n',
    }

    assert.equal("", printed)
    assert.is_true(content)
  end)

  it("reports a header of an equal or a higher rank", function()
    local printed, content = check {
      ["hub/hub.h"] = '#include "core/topic.h"\n',
      ["base/map.h"] = '#include "net/conn.h"\n',
    }

    assert.matches('csrc/hub/hub.h:8: "core/topic.h" (rank 4) is not below csrc/hub (rank 4)', printed, 1, true)
    assert.matches('csrc/base/map.h:8: "net/conn.h" (rank 2) is not below csrc/base (rank 0)', printed, 1, true)
    assert.is_false(content)
  end)

  it("reports a header of a higher room", function()
    local printed = check {
      ["script/task/task.h"] = '#include "script/sandbox/sandbox.h"\n',
      ["script/sandbox/sandbox.h"] = '#include "script/task/task.h"\n',
      ["script/load.c"] = '#include "script/task/task.h"\n',
    }

    assert.matches('csrc/script/sandbox/sandbox.h:8: "script/task/task.h" is not in a lower room', printed, 1, true)
    assert.not_matches("csrc/script/task", printed, 1, true)
    assert.not_matches("csrc/script/load", printed, 1, true)
  end)

  it("reports modules that include each other in a circle", function()
    local printed, content = check {
      ["net/a.h"] = '#include "net/b.h"\n',
      ["net/b.c"] = '#include "net/b.h"\n#include "net/c.h"\n',
      ["net/b.h"] = "",
      ["net/c.h"] = '#include "net/a.h"\n',
      ["net/d.h"] = '#include "net/a.h"\n',
    }

    assert.equal("these modules include each other in a circle: net/a, net/b, net/c\n", printed)
    assert.is_false(content)
  end)

  it("reports a library's header outside the layer that wraps it", function()
    local printed = check { ["core/read.c"] = "#include <libpq-fe.h>\n", ["base/log.c"] = "#include <uv.h>\n" }

    assert.matches("csrc/core/read.c:1: <libpq-fe.h> may not be included in csrc/core", printed, 1, true)
    assert.matches("csrc/base/log.c:1: <uv.h> may not be included in csrc/base", printed, 1, true)
  end)

  it("reports a header that does not say who owns what, on which thread, in what units, and how it fails", function()
    local printed = check { ["net/ip.h"] = (ANSWERS:gsub("Threads    b%.\n %* ", "")) }

    assert.equal("csrc/net/ip.h: its opening comment has no line for Threads\n", printed)
  end)

  it("reports a file that does not include its own header first", function()
    local printed = check { ["net/ip.h"] = "", ["net/ip.c"] = '#include <string.h>\n#include "net/ip.h"\n' }

    assert.equal('csrc/net/ip.c: its first include is not "net/ip.h"\n', printed)
  end)
end)
