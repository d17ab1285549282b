-- The picture of a subscription's states is made from the table that decides, and is up to date.

local env = require "spec.support.env"
local files = require "spec.support.files"

local ROOT = env.root()

local function check(root)
  return os.execute(("lua5.4 '%s/scripts/draw_states.lua' --check '%s' >/dev/null"):format(ROOT, root)) == true
end

describe("the picture of the states", function()
  local copy

  before_each(function()
    copy = os.tmpname()
    assert(os.remove(copy))
    assert(os.execute(("mkdir -p '%s/csrc/core' '%s/docs'"):format(copy, copy)))
    for _, name in ipairs { "csrc/core/sub_states.h", "csrc/core/sub_table.c", "docs/architecture.md" } do
      assert(os.execute(("cp '%s/%s' '%s/%s'"):format(ROOT, name, copy, name)))
    end
  end)
  after_each(function() os.execute(("rm -rf '%s'"):format(copy)) end)

  local function change(name, from, to)
    local path = copy .. "/" .. name
    local text, n = files.read(path):gsub(from, to)
    assert.equal(1, n)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  it("is what the table says", function() assert.is_true(check(ROOT)) end)

  it("is found out when the table has changed", function()
    change("csrc/core/sub_table.c", "RULE%(PARKED, MOVE, CONTINUING, NULL%)", "RULE(PARKED, MOVE, HELD, NULL)")
    assert.is_false(check(copy))
  end)

  it("is found out when it was changed by hand", function()
    change("docs/architecture.md", "PARKED %-%-> CONTINUING : move", "PARKED --> HELD : move")
    assert.is_false(check(copy))
  end)
end)
