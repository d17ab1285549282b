-- Puts the application's tables back to what they were after its schema was loaded.
--
-- Copies of the tables lie in a schema of their own. Triggers do not fire while they are copied back: nothing of it is
-- an event. So no client may be connected meanwhile.

local M = {}

local TABLES = [[
  select format('%I.%I', n.nspname, c.relname) as name, format('leat_spec.%I', c.oid) as copy,
         (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a
           where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and n.nspname !~ '^(pg_|leat$|leat_|information_schema$)'
     and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
   order by c.oid]]

local SEQUENCES = [[
  select format('%I.%I', schemaname, sequencename) as name, coalesce(last_value, start_value) as value,
         last_value is not null as called
    from pg_sequences where schemaname !~ '^(pg_|leat$|leat_|information_schema$)']]

--- Copies the tables. Returns the SQL that restores them.
function M.save(session)
  session:run("create schema if not exists leat_spec")
  local tables = session:rows(TABLES)
  local sql = { "begin; set local session_replication_role = replica" }
  local names = {}
  for _, t in ipairs(tables) do
    session:run(("create table %s as table %s"):format(t.copy, t.name))
    names[#names + 1] = t.name
  end
  if #names > 0 then sql[#sql + 1] = "truncate " .. table.concat(names, ", ") .. " cascade" end
  for _, t in ipairs(tables) do
    if t.columns then
      sql[#sql + 1] = ("insert into %s (%s) overriding system value select %s from %s"):format(
        t.name, t.columns, t.columns, t.copy)
    end
  end
  for _, s in ipairs(session:rows(SEQUENCES)) do
    sql[#sql + 1] = ("select setval(%s, %s, %s)"):format(session:quote(s.name), s.value,
      s.called == "t" and "true" or "false")
  end
  sql[#sql + 1] = "commit"
  return table.concat(sql, ";\n")
end

--- Restores them.
function M.restore(session, sql)
  local ok, err = pcall(session.run, session, sql)
  if not ok then
    pcall(session.run, session, "rollback")
    error("the data cannot be reset: " .. tostring(err), 2)
  end
end

return M
