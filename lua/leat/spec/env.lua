-- Where leat test, or our own scripts/test, has put things.

local M = {}

local function required(name)
  local value = os.getenv(name)
  if not value or value == "" then
    error(name .. " is not set: specs are run by leat test, and our own by scripts/test", 0)
  end
  return value
end

function M.root()
  return required("LEAT_ROOT")
end

function M.binary()
  return required("LEAT_BIN")
end

function M.pg_program(name)
  return required("LEAT_PG_BINDIR") .. "/" .. name
end

--- The database on the shared cluster that has schema leat and nothing else, to be copied. nil: there is none.
function M.template()
  local name = os.getenv("LEAT_TEST_TEMPLATE")
  return name ~= "" and name or nil
end

--- The shared cluster's superuser URL, for that database.
function M.database_url(name)
  local url = required("LEAT_TEST_DATABASE_URL")
  return (url:gsub("^(%a+://[^/?]*)/?[^?]*", "%1/" .. name, 1))
end

return M
