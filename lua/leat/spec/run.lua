-- leat test: a Postgres cluster of its own, busted with leat.spec at hand, and nothing of it left behind.
--
-- The arguments are files or folders with specs (default: spec), --database URL (of a superuser on a server where
-- scratch databases may be made), and options of busted's.

local HOME = assert(os.getenv("LEAT_ROOT"), "run.lua is started by leat test")

local NEEDS = {
  { "luv", "lua-luv" },
  { "cjson", "lua-cjson" },
  { "luasql.postgres", "lua-sql-postgres" },
  { "zlib", "lua-zlib" },
  { "busted.runner", "lua-busted" },
}

local HELP = [[
usage: leat test [--database URL] [FILE...]

Runs the busted specs in FILE... (files or folders; default: spec) with leat.spec at hand.
Without --database it makes a Postgres cluster of its own, and removes it.
--database URL  scratch databases are made on that server, and removed
Other options go to busted, for example --filter=PATTERN or --output=TAP.

The exit code is busted's: 0 if every spec passes.]]

local function give_up(text)
  io.stderr:write("leat test: ", text, "\n")
  os.exit(2)
end

local function check_modules()
  local packages = {}
  for _, need in ipairs(NEEDS) do
    -- Looked for, not loaded: busted's runner would begin.
    local found = package.searchpath(need[1], package.path) or package.searchpath(need[1], package.cpath)
    if not found then packages[#packages + 1] = need[2] end
  end
  if #packages > 0 then
    give_up("Lua modules are missing. On Debian: apt-get install " .. table.concat(packages, " "))
  end
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- The folder of initdb: where the environment says, the newest of Debian's, or on the path.
local function find_postgres()
  local given = os.getenv("LEAT_PG_BINDIR")
  if given and given ~= "" then return exists(given .. "/initdb") and given or nil end
  for version = 40, 10, -1 do
    local folder = ("/usr/lib/postgresql/%d/bin"):format(version)
    if exists(folder .. "/initdb") then return folder end
  end
  for folder in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    if exists(folder .. "/initdb") then return folder end
  end
  return nil
end

local function parse(arguments)
  local options, files, i = { busted = {} }, {}, 1
  while arguments[i] do
    local argument = arguments[i]
    local url = argument:match("^%-%-database=(.*)$")
    if argument == "--help" or argument == "-h" then
      print(HELP)
      os.exit(0)
    elseif url then
      options.database = url
    elseif argument == "--database" then
      i = i + 1
      options.database = arguments[i] or give_up("--database: expected a value")
    elseif argument:sub(1, 1) == "-" then
      options.busted[#options.busted + 1] = argument
    else
      files[#files + 1] = argument
    end
    i = i + 1
  end
  options.files = #files > 0 and files or { "spec" }
  for _, file in ipairs(options.files) do
    if not exists(file) then give_up(file .. " is not there: expected a file or a folder with specs") end
  end
  return options
end

check_modules()
local options = parse(arg)
local bindir = find_postgres()
if not options.database and not bindir then
  give_up("Postgres' programs (initdb, pg_ctl) are not found. On Debian: apt-get install postgresql.\n"
    .. "LEAT_PG_BINDIR may name their folder, or --database a server that runs")
end

local uv = require "luv"
uv.os_setenv("LEAT_PG_BINDIR", bindir or "")
uv.os_unsetenv("DATABASE_URL")
local cluster = require "leat.spec.cluster"
local files = require "leat.spec.files"
local keeper = require "leat.spec.keeper"
local postgres = require "leat.spec.postgres"

-- Signals: the specs are asked to end, and all is removed. What comes in between ends it, too.
local signalled, specs
local NUMBERS = { sigint = 2, sigterm = 15, sighup = 1 }
for name in pairs(NUMBERS) do
  local handle = uv.new_signal()
  handle:start(name, function()
    signalled = signalled or name
    if specs then uv.kill(-specs, name) end
  end)
  handle:unref()
end

-- In a session of its own: what the specs leave running ends with it.
local function run_busted(url, cluster_folder, template)
  local arguments = { HOME .. "/lua/leat/spec/busted.lua", "--ignore-lua",
    "--helper=" .. HOME .. "/lua/leat/spec/preload.lua" }
  for _, list in ipairs { options.busted, options.files } do
    for _, argument in ipairs(list) do arguments[#arguments + 1] = argument end
  end
  uv.os_setenv("LEAT_TEST_DATABASE_URL", url)
  uv.os_setenv("LEAT_TEST_CLUSTER", cluster_folder)
  uv.os_setenv("LEAT_TEST_TEMPLATE", template)
  local code, signal
  local program, all, keeps = keeper.start("group", "lua5.4", arguments, 3)
  local handle, pid = uv.spawn(program, { args = all, stdio = { 0, 1, 2, keeps }, detached = true },
    function(exit_code, exit_signal) code, signal = exit_code, exit_signal end)
  if not handle then error("busted cannot be started: " .. tostring(pid)) end
  specs = pid
  while not code do uv.run("once") end
  uv.kill(-pid, "sigkill")
  keeper.ended("group", pid)
  specs = nil
  return signal ~= 0 and 128 + signal or code
end

local function test()
  if options.database then return run_busted(options.database, "", "") end
  local own = cluster.new()
  local ok, result = pcall(function()
    uv.fs_chmod(own.dir, tonumber("700", 8)) -- it trusts whoever gets there
    local template = postgres.make_template(function(name) return own:url(name) end)
    return signalled and 1 or run_busted(own:url("postgres"), own.dir, template)
  end)
  own:remove()
  return ok and result or error(result, 0)
end

local folder = files.folder()
uv.os_setenv("LEAT_TEST_TMP", folder)
local ok, code = pcall(test)
files.remove(folder)
if not ok then give_up(tostring(code)) end
os.exit(signalled and 128 + NUMBERS[signalled] or code, true)
