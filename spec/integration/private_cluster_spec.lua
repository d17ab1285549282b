-- The Postgres cluster that scripts/dev and scripts/test make for themselves: in a folder of any name, for nobody else.

local root = os.getenv "LEAT_ROOT"

describe("a private cluster", function()
  local folder

  -- Runs bash with the library loaded. Returns what it wrote, and whether it succeeded.
  local function bash(script, ...)
    local words = { "bash", "-c", ". \"$0\"/common.sh; . \"$0\"/cluster.sh; " .. script, root .. "/scripts/lib", ... }
    for i, word in ipairs(words) do words[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
    local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
    local output = pipe:read "a"
    return output, (pipe:close())
  end

  before_each(function()
    folder = bash("mktemp -d"):match "%S+"
    bash("chmod 711 $1", folder)
  end)
  after_each(function() bash("rm -rf \"$1\"", folder) end)

  it("runs whatever its folder is called", function()
    for _, name in ipairs { "a b", "q'uote", 'd"quote', "$(touch made)", "`touch made`", "back\\slash", "c,omma" } do
      local output = bash([[
        cd "$1" && chmod 777 . && cluster_place "$1/$2" && cluster_make >"$1/log" 2>&1 || exit
        trap 'cluster_stop; rm -rf "$cluster_data" "$cluster_socket"; rmdir "${cluster_data%/pg}" 2>/dev/null' EXIT
        cluster_start >>"$1/log" 2>&1 && cluster_psql "$(cluster_url postgres)" -c "select 'it runs'"]], folder, name)
      assert.same({ name, "it runs\n" }, { name, output })
    end
    assert.equal("", (bash("find \"$1\" -name made", folder)))
  end)

  it("has no folder in /tmp that somebody else may have made", function()
    local output, ok = bash([[
      work=/tmp/leat-$(id -u)-$(short_hash "$1/c,omma/pg")
      mkdir "$1/precious" && ln -s "$1/precious" "$work" || exit
      trap 'rm "$work"' EXIT
      cluster_place "$1/c,omma"]], folder)
    assert.matches("is a link, or belongs to another user", output, 1, true)
    assert.is_falsy(ok)
    assert.equal("755\n", (bash("stat -c %a \"$1/precious\"", folder)))
  end)

  it("is made where nobody else may write, whatever the umask is", function()
    assert.equal("0022\n", (bash("umask 000; . \"$0\"/common.sh; umask")))
  end)
end)
