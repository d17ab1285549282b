-- The release build, looked at with readelf: what makes a memory error harder to use is there.

local process = require "spec.support.process"

local function built()
  local path = os.getenv("LEAT_RELEASE_BIN")
  return path and path ~= "" and path or nil
end

local function readelf(option)
  local code, out, err = process.run("/usr/bin/readelf", { args = { "-W", option, built() } })
  assert(code == 0, err)
  return out
end

--- The functions of libc that the binary calls, as a set.
local function imports()
  local found = {}
  for name in readelf("--dyn-syms"):gmatch("UND ([%w_]+)@") do found[name] = true end
  return found
end

local function describe_release(body)
  describe("the release build", function()
    if built() then
      body()
    else
      pending("needs LEAT_RELEASE_BIN, a release build")
    end
  end)
end

describe_release(function()
  it("is position independent", function()
    assert.matches("Type:%s+DYN", readelf("--file-header"))
    assert.matches("FLAGS_1.*PIE", readelf("--dynamic"))
  end)

  it("resolves all symbols at the start, and makes their table read-only", function()
    assert.matches("GNU_RELRO", readelf("--program-headers"))
    assert.matches("FLAGS_1.*NOW", readelf("--dynamic"))
  end)

  it("has no segment that can be written and executed, and no code that the loader changes", function()
    local headers = readelf("--program-headers")

    assert.matches("GNU_STACK[^\n]+ RW +0x", headers)
    assert.is_nil(headers:match("LOAD[^\n]+ RWE "))
    assert.is_nil(readelf("--dynamic"):match("TEXTREL"))
  end)

  it("checks its stack frames and the calls that fill buffers", function()
    local found = imports()

    assert.is_true(found.__stack_chk_fail)
    for _, name in ipairs { "__memcpy_chk", "__snprintf_chk", "__vsnprintf_chk" } do
      assert.is_true(found[name], name)
    end
  end)

  it("marks the targets of jumps and guards return addresses, on x86-64", function()
    if not readelf("--file-header"):find("X86-64", 1, true) then return pending("not x86-64") end

    assert.matches("x86 feature: IBT, SHSTK", readelf("--notes"))
  end)
end)
