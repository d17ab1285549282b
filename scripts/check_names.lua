-- Looks for names in the C code that lead nowhere: functions that nobody calls or defines, names in comments that exist
-- nowhere.
-- Usage: lua5.4 scripts/check_names.lua [ROOT]. Prints what is wrong; exits with 1 then.
--
-- 1. A function that a header declares is defined, and is used in a file other than its own. (Of all other functions
--    the compiler demands that they are static and used.)
-- 2. A comment names only files that exist, and only identifiers (words with an underscore) that some code contains.

local root = arg[1] or "."

-- Words that comments may use although no code of ours contains them, each with its home.
local FOREIGN = {
  NNNN_name = "the form of a migration's file name",
  TIME_WAIT = "TCP",
  UV_EACCES = "libuv",
  array_out = "PostgreSQL",
  lua_Alloc = "Lua",
  sd_listen_fds = "libsystemd",
  sd_notify = "libsystemd",
}

local M = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function list(folders, patterns)
  local paths = {}
  local command = ("cd '%s' && find %s -type f %s 2>/dev/null | sort"):format(root, folders, patterns)
  for path in assert(io.popen(command)):lines() do paths[#paths + 1] = path end
  return paths
end

--- Splits a C text into code and comments; both keep the lines of the whole.
function M.split(text)
  local code, comments, at = {}, {}, 1
  while true do
    local first = text:find("/*", at, true)
    local last = first and select(2, text:find("*/", first + 2, true))
    if not last then break end
    local before, comment = text:sub(at, first - 1), text:sub(first, last)
    code[#code + 1], comments[#comments + 1] = before, (before:gsub("[^\n]", " "))
    code[#code + 1], comments[#comments + 1] = (comment:gsub("[^\n]", " ")), comment
    at = last + 1
  end
  code[#code + 1] = text:sub(at)
  return table.concat(code), table.concat(comments)
end

local function line_of(text, at)
  return 1 + select(2, text:sub(1, at - 1):gsub("\n", "\n"))
end

-- Everything that is code somewhere: word -> list of the files that contain it.
local function words_of(files)
  local words = {}
  for path, text in pairs(files) do
    for word in text:gmatch("[%a_][%w_]*") do
      words[word] = words[word] or {}
      words[word][path] = true
    end
  end
  return words
end

-- Whether a macro of the header calls the function.
local function is_in_macro(header, name)
  for macro in header:gsub("\\\n", " "):gmatch("#%s*define[^\n]*") do
    if macro:find("%f[%w_]" .. name .. "%f[^%w_]") then return true end
  end
  return false
end

local function check_declarations(headers, sources, words, report)
  local defined = {}
  for path, code in pairs(sources) do
    for signature in ("\n" .. code):gmatch("\n([%a_][^\n;{}=]-%b()[^\n;{}]*)\n{\n") do
      local name = signature:match("([%a_][%w_]*)%s*%b()[^()]*$")
      if name then defined[name] = path end
    end
  end
  for path, code in pairs(headers) do
    for declaration in ("\n" .. code):gmatch("\n([%a_][^\n;{}=#]*%b()[^;{}=#]*);") do
      local name = declaration:match("([%a_][%w_]*)%s*%b()%s*$")
      local is_other = declaration:find("^typedef") or declaration:find("^static") or declaration:find("%(%*")
      if name and name ~= "__attribute__" and not is_other then
        local where = defined[name]
        local users = 0
        for user in pairs(words[name] or {}) do
          if user ~= path and user ~= where then users = users + 1 end
        end
        if not where then
          report("%s: %s is declared, but nothing defines it", path, name)
        elseif users == 0 and not is_in_macro(code, name) then
          report("%s: %s is declared, but only %s uses it", path, name, where)
        end
      end
    end
  end
end

local function check_comments(path, comments, words, names, report)
  for at, name in comments:gmatch("()%f[%w_/]([%w_/-]+%.%l+)%f[^%w.]") do
    local base = name:match("([^/]+)$")
    if (base:find("%.[ch]$") or base:find("%.lua$")) and not names[base] and not FOREIGN[base] then
      report("%s:%d: the comment names the file %s, which does not exist", path, line_of(comments, at), name)
    end
  end
  -- A prefix (`take_`, `UV_E*`) is no name, nor are the results in a Lua signature (`-> co, is_main  [-0, +2, mem]`).
  comments = comments:gsub("%->[^\n]*%[%-", function(signature) return (signature:gsub("%w", " ")) end)
  for at, word in comments:gmatch("()%f[%w_]([%a][%w]*_[%w_]*)%f[^%w_*]") do
    local is_part = word:find("_$") or comments:find("^%.[ch]%f[%W]", at + #word)
    if not is_part and not words[word] and not names[word] and not FOREIGN[word] then
      report("%s:%d: the comment names %s, which no code contains", path, line_of(comments, at), word)
    end
  end
end

local function main()
  local failed = false
  local function report(...)
    failed = true
    print(string.format(...))
  end
  local names, code, headers, sources, comments = {}, {}, {}, {}, {}
  for _, path in ipairs(list("csrc spec scripts lua config docs bench", "")) do
    local name = path:match("([^/]+)$")
    names[name], names[name:gsub("%.%w+$", "")] = true, true -- a comment may name a module by its stem
  end
  -- Generated code calls what its options name.
  local code_files = "\\( -name '*.[ch]' -o -name '*.options' \\)"
  for _, path in ipairs(list("csrc spec/unit spec/fuzz spec/torture spec/embed bench", code_files)) do
    local text, comment = M.split(read(root .. "/" .. path))
    code[path] = text
    if path:find("^csrc/") then comments[path] = comment end
    if path:find("^csrc/.*h$") then headers[path] = text end
    if path:find("^csrc/.*c$") then sources[path] = text end
  end
  local own = words_of(code)
  check_declarations(headers, sources, own, report)
  for _, path in ipairs(list("config lua spec/integration spec/torture scripts cmake", "")) do
    code[path] = read(root .. "/" .. path)
  end
  local all = words_of(code)
  for path, comment in pairs(comments) do check_comments(path, comment, all, names, report) end
  os.exit(failed and 1 or 0)
end

if arg and arg[0] and arg[0]:find("check_names.lua$") then main() end
return M
