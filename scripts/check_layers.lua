-- Holds the includes of csrc to the layers: a file includes headers of a lower rank or of its own
-- directory, and the library that a directory is there to wrap is included nowhere else.
-- Usage: lua5.4 scripts/check_layers.lua [ROOT]. Prints what is wrong; exit code 1 then.

local RANK = { base = 0, wire = 1, loop = 1, net = 2, pg = 2, core = 3, script = 4, app = 5 }

-- Header name patterns and the only directories that may include them.
local WRAPPED = {
  { "^lua%.h$", { script = true } },
  { "^lualib%.h$", { script = true } },
  { "^lauxlib%.h$", { script = true } },
  { "^libpq%-fe%.h$", { pg = true } },
  { "^llhttp", { wire = true } },
  { "^openssl/", { wire = true } },
}

-- What a directory's rank forbids it altogether.
local NO_UV = { base = true, wire = true }

local M = {}

local function lines_of(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text:gmatch("[^\n]*")
end

local function files_below(root)
  local files = {}
  for path in assert(io.popen("find '" .. root .. "/csrc' -name '*.[ch]' | sort")):lines() do
    files[#files + 1] = path
  end
  return files
end

local function check_library(dir, header)
  for _, rule in ipairs(WRAPPED) do
    if header:find(rule[1]) and not rule[2][dir] then
      return ("<%s> is not for csrc/%s"):format(header, dir)
    end
  end
  if header == "uv.h" and NO_UV[dir] then
    return "<uv.h> is not for csrc/" .. dir
  end
end

local function check_own(dir, header)
  local other = header:match("^([%w_]+)/")
  if not other or not RANK[other] then
    return ('"%s" names no layer'):format(header)
  end
  if other ~= dir and RANK[other] >= RANK[dir] then
    return ('"%s" (rank %d) is not below csrc/%s (rank %d)'):format(header, RANK[other], dir, RANK[dir])
  end
end

--- Checks one file. Returns a list of sentences, empty if all is well.
function M.check(path, dir)
  local problems = {}
  local number, first = 0, nil
  for line in lines_of(path) do
    number = number + 1
    local quoted = line:match('^%s*#%s*include%s+"([^"]+)"')
    local angled = line:match("^%s*#%s*include%s+<([^>]+)>")
    first = first or quoted or angled
    local problem = quoted and check_own(dir, quoted) or angled and check_library(dir, angled)
    if problem then
      problems[#problems + 1] = ("%s:%d: %s"):format(path, number, problem)
    end
  end
  local own = path:match("csrc/(.+)%.c$")
  if own and first ~= own .. ".h" and io.open((path:gsub("%.c$", ".h"))) then
    problems[#problems + 1] = path .. ': the first include is not its own header'
  end
  return problems
end

local root = arg[1] or "."
local failed = false
for _, path in ipairs(files_below(root)) do
  local dir = path:match("csrc/([%w_]+)/")
  local problems = RANK[dir] and M.check(path, dir) or { path .. ": not in a layer's folder" }
  for _, problem in ipairs(problems) do
    failed = true
    print(problem)
  end
end
os.exit(failed and 1 or 0)
