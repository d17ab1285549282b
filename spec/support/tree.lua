-- Runs one of the scripts that look at the sources on a small tree made for the purpose.

local env = require "spec.support.env"
local files = require "spec.support.files"

local M = {}

--- Writes the files (path -> text) to a folder and runs scripts/NAME on it. In the arguments, %s stands for the folder,
--- which is the only argument by default. Returns what the script prints, errors included, and whether it exits with 0.
function M.run(name, tree, arguments)
  local folder = files.folder()
  for path, text in pairs(tree) do
    os.execute(("mkdir -p '%s/%s'"):format(folder, path:match("^(.*)/")))
    files.write(folder .. "/" .. path, text)
  end
  local quoted = "'" .. folder .. "'"
  local command = ("lua5.4 '%s/scripts/%s' "):format(env.root(), name) .. (arguments or "%s"):gsub("%%s", quoted)
  local run = assert(io.popen("{ " .. command .. "; } 2>&1"))
  local printed = run:read("a")
  local content = run:close() == true
  files.remove(folder)
  return printed, content
end

return M
