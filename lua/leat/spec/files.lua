-- Temporary folders, and the apps and files in them.

local uv = require "luv"
local keeper = require "leat.spec.keeper"

local M = {}

--- A name below `parent` (/tmp, or the folder that leat test removes at its end), which nothing has. What is made there
--- is removed at the latest when this process ends.
function M.name(parent)
  local random = uv.random(6):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  local path = (parent or os.getenv("LEAT_TEST_TMP") or "/tmp") .. "/leat-spec-" .. random
  keeper.folder(path)
  return path
end

--- A new folder there.
function M.folder(parent)
  local path = M.name(parent)
  assert(uv.fs_mkdir(path, tonumber("700", 8)))
  return path
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

--- Makes the folder and writes the texts, by file name; a name may have folders in it.
function M.write_all(folder, texts)
  uv.fs_mkdir(folder, tonumber("755", 8))
  for name, text in pairs(texts) do
    local sub = name:match("^(.*)/")
    if sub then uv.fs_mkdir(folder .. "/" .. sub, tonumber("755", 8)) end
    M.write(folder .. "/" .. name, text)
  end
end

function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

function M.exists(path)
  return uv.fs_stat(path) ~= nil
end

local function remove(path)
  local dir = uv.fs_scandir(path)
  if not dir then
    uv.fs_unlink(path)
    return
  end
  for name, kind in function() return uv.fs_scandir_next(dir) end do
    if kind == "directory" then
      remove(path .. "/" .. name)
    else
      uv.fs_unlink(path .. "/" .. name)
    end
  end
  uv.fs_rmdir(path)
end

--- Removes a folder and all in it, or a file.
function M.remove(path)
  remove(path)
  if not M.exists(path) then keeper.removed(path) end
end

return M
