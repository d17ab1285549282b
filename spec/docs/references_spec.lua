-- What the documents name is there: commands, metrics, configuration keys, files, codes.

local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local markdown = require "spec.support.markdown"
local metrics = require "spec.support.metrics"
local process = require "spec.support.process"
local stage = require "spec.support.stage"
local uv = require "luv"

local ROOT = env.root() .. "/"

-- Every Markdown file of the root, of docs/ and of the folders in it.
local function documents()
  local names = {}
  for _, folder in ipairs { "", "docs/", "docs/decisions/", "docs/operations/" } do
    for name, kind in function(dir) return uv.fs_scandir_next(dir) end, uv.fs_scandir(ROOT .. folder) do
      if kind == "file" and name:find("%.md$") then names[#names + 1] = folder .. name end
    end
  end
  return names
end

local DOCUMENTS = documents()

describe("the documentation", function()
  local s

  lazy_setup(function() s = stage.open { app = fixtures.app, schema = fixtures.schema } end)
  lazy_teardown(function() s:close() end)

  it("stands in folders that are all searched here", function()
    for name, kind in function(dir) return uv.fs_scandir_next(dir) end, uv.fs_scandir(ROOT .. "docs") do
      assert.is_true(kind ~= "directory" or name == "model" or name == "decisions" or name == "operations",
        "docs/" .. name)
    end
    assert.is_true(#DOCUMENTS > 15)
  end)

  it("links to files that exist", function()
    for _, name in ipairs(DOCUMENTS) do
      local folder = name:match("^(.*/)") or ""
      for _, target in ipairs(markdown.links(ROOT .. name)) do
        if not target:find("^%a+://") and not target:find("^#") then
          local path = ROOT .. folder .. target:gsub("#.*$", "")
          assert.is_true(files.exists(path), name .. " links to " .. target)
        end
      end
    end
  end)

  it("names files, folders and scripts that exist", function()
    for _, name in ipairs(DOCUMENTS) do
      for _, span in ipairs(markdown.code_spans(ROOT .. name)) do
        for _, folder in ipairs { "scripts", "config", "spec", "lua", "csrc", "docs" } do
          if span:find("^" .. folder .. "/[%w_/.-]+$") then
            assert.is_true(files.exists(ROOT .. span), name .. " names " .. span)
          end
        end
      end
    end
    for command in markdown.block(ROOT .. "README.md", "sh"):gmatch("%f[^\n\0]([%w/]+)") do
      assert.equal("file", uv.fs_stat(ROOT .. command).type)
      assert.is_true(uv.fs_access(ROOT .. command, "X"), command)
    end
  end)

  local C_PAGES = { ["docs/architecture.md"] = true, ["docs/embedding.md"] = true }

  it("names metrics that there are", function()
    local _, text = metrics.read(s.server)
    local count = 0
    for _, name in ipairs(DOCUMENTS) do
      for _, span in ipairs(markdown.code_spans(ROOT .. name)) do
        local metric = span:match("^(leat_[%l_]+)$") or span:match("^(leat_[%l_]+){")
        -- These two pages name C functions; leat_internal is a schema, leat_tls a scenario of the bench.
        if metric and not C_PAGES[name] and metric ~= "leat_internal"
          and metric ~= "leat_tls" then
          count = count + 1
          assert.is_not_nil(text:find("# TYPE " .. metric .. " ", 1, true), name .. " names " .. metric)
        end
      end
    end
    assert.is_true(count > 20)
  end)

  it("has a table of the metrics that is made from the server's own", function()
    s:connect({ token = "alice" }):subscribe("room:1") -- a handler has run
    local _, text = metrics.read(s.server)
    local _, made = process.run("lua5.4",
      { args = { ROOT .. "scripts/make_metrics.lua", ROOT .. "docs/metrics.md" }, input = text })

    assert.is_true(select(2, made:gsub("\n", "")) > 80)
    assert.is_nil(made:match("\n[^\n]*|  |\n"), "a metric has no word about what it tells")
    assert.is_not_nil(files.read(ROOT .. "docs/metrics.md"):find("\n" .. made .. "\n", 1, true),
      "run scripts/make_metrics.lua, which says how")
  end)

  it("is not needed to know what a metric counts: each has a help", function()
    local _, text = metrics.read(s.server)

    for metric in text:gmatch("# TYPE (%S+) ") do
      assert.is_not_nil(text:find("# HELP " .. metric .. " [^\n]+\n"), metric)
    end
  end)

  -- The keys as they may be named: retention, retention.seconds, LEAT_RETENTION_SECONDS.
  local function known_keys()
    local known = {}
    local function add(key)
      known[key] = true
      known["LEAT_" .. key:upper():gsub("%.", "_")] = true
    end
    for key, value in pairs(dofile(ROOT .. "config/leat.lua")) do
      add(key)
      if type(value) == "table" then
        for inner in pairs(value) do add(key .. "." .. inner) end
      end
    end
    return known
  end

  it("names configuration keys that there are", function()
    local known = known_keys()
    -- Of the protocol, and of leat.jwt.verify.
    local messages = { timeout_ms = true, retry_after_ms = true, max_age_s = true }
    local count = 0
    for _, name in ipairs(DOCUMENTS) do
      for _, span in ipairs(markdown.code_spans(ROOT .. name)) do
        local key = span:match("^LEAT_[%u_]+$") or span:match("^[%l_]+_ms$") or span:match("^[%l_]+_bytes$")
          or span:match("^pool_[%l_]+$") or span:match("^max_[%l_]+$")
        local metric = span:find("^leat_") or span:find("^process_")
        if key and key ~= "LEAT_" and not C_PAGES[name] and not messages[key] and not metric then
          count = count + 1
          assert.is_true(known[key], name .. " names " .. key)
        end
      end
    end
    assert.is_true(count > 5)
  end)

  it("has a configuration file with every key and its default", function()
    local code, out = process.run(env.binary(), { args = { "serve", "--help" } })
    assert.equal(0, code)
    local file = dofile(ROOT .. "config/leat.lua")

    for key, value in pairs(file) do
      if type(value) == "number" then
        assert.is_not_nil(out:find(("%s[^\n]*%d"):format(key, value)), key .. " = " .. value)
      end
    end
    for key in out:gmatch("\n  ([%l_]+)[%s.=]") do assert.is_not_nil(file[key], key) end
  end)

  it("has a table of the keys that is made from the server's own", function()
    local script = ROOT .. "scripts/make_configuration.lua"
    local _, made = process.run("lua5.4", { args = { script, env.binary() } })

    assert.is_true(select(2, made:gsub("\n", "")) > 100)
    assert.is_not_nil(files.read(ROOT .. "docs/configuration.md"):find("\n" .. made .. "\n", 1, true),
      "run: lua5.4 scripts/make_configuration.lua build/dev/csrc/app/leat docs/configuration.md")
  end)

  it("says what fits into a gigabyte and a core by the figures of performance.md", function()
    local _, made = process.run("lua5.4", { args = { ROOT .. "scripts/make_size.lua", ROOT .. "docs/performance.md" } })

    assert.is_true(select(2, made:gsub("\n", "")) >= 14)
    assert.is_not_nil(files.read(ROOT .. "docs/operations/size.md"):find("\n" .. made .. "\n", 1, true),
      "run: lua5.4 scripts/make_size.lua docs/performance.md docs/operations/size.md")
  end)

  -- The keys that are numbers, as they are named: retention.seconds.
  local function numbers()
    local found = {}
    for key, value in pairs(dofile(ROOT .. "config/leat.lua")) do
      for inner, number in pairs(type(value) == "table" and value or { [""] = value }) do
        if type(number) == "number" then found[inner == "" and key or key .. "." .. inner] = number end
      end
    end
    return found
  end

  -- "1 MiB" -> 1048576
  local function in_units(text)
    local number, unit = text:match("^%s*(%d+)%s*(%a*)%s*$")
    return number and tonumber(number) * (({ KiB = 1024, MiB = 1024 * 1024 })[unit] or 1)
  end

  it("lists every limit in security.md, with its default", function()
    local listed = {}
    for keys, defaults in files.read(ROOT .. "docs/security.md"):gmatch("\n| (`[^|]+`) | ([^|]+) |") do
      local next_default = defaults:gmatch("[^,]+")
      for key in keys:gmatch("`([^`]+)`") do listed[key] = in_units(next_default() or "") or defaults end
    end

    local expected = numbers()
    -- What there is, and how it is done: no limits.
    for _, key in ipairs { "workers", "drain_ms", "compression_level", "compression_min_bytes", "cors.max_age_s",
      "gzip_level", "gzip_min_bytes", "tls_check_interval_ms" } do
      expected[key] = nil
    end
    assert.same(expected, listed)
  end)

  it("has commands that run as they stand", function()
    local folder = files.folder()
    files.write(folder .. "/app.lua", fixtures.app)
    uv.fs_symlink(env.binary(), folder .. "/leat")
    local variables = { DATABASE_URL = s.db.url, PATH = folder .. ":" .. os.getenv("PATH"), LEAT_APP = "app.lua" }
    local count = 0
    for line in (markdown.block(ROOT .. "docs/operations/install.md", "sh") .. "\n"):gmatch("(leat [^\n]+)\n") do
      count = count + 1
      local address = folder .. "/address"
      local command = "exec " .. line:gsub(":8080", ":0"):gsub("^leat serve", "%0 --address-file " .. address)
      local p = process.spawn("sh", { args = { "-c", command }, cwd = folder, env = variables })
      if line:find("^leat serve") then
        loop.eventually(function() return uv.fs_stat(address) end, 20000,
          function() return line .. "\n" .. p:output() end)
        p:send_signal("sigterm")
      end
      assert.equal(0, p:wait(), line .. "\n" .. p:output())
    end
    files.remove(folder)
    assert.equal(3, count)
  end)
end)
