-- leat migrate binds nothing that another role has put in its way.

local env = require "spec.support.env"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

describe("leat migrate", function()
  it("finds nothing of ours in public, though that shadows functions, operators, types and casts", function()
    local db = postgres.empty_database()
    db.session:run [[
      create table public.caught (what text);
      create function public.concat_ws(text, text, text, bigint, bigint, text, text) returns text
        language plpgsql as $$ begin insert into public.caught values ('concat_ws'); return 'x'; end $$;
      create function public.octet_length(jsonb) returns int language sql return 1;
      create function public.left(text, bigint) returns text language sql return 'x';
      create function public.sum(text, bytea) returns bytea language sql return 'x'::bytea;
      create operator public.|| (leftarg = text, rightarg = bytea, function = public.sum);
      create domain public.text as pg_catalog.text;
      create domain public.jsonb as pg_catalog.jsonb;
      create function public.convert_to(text, text) returns bytea language sql return 'x'::bytea;
      create cast (bytea as pg_catalog.jsonb) with inout as implicit;
    ]]
    db.session:run("alter database " .. db.name .. " set search_path = public, pg_catalog")

    local code, out, err = process.run(env.binary(), { args = { "migrate" }, env = { LEAT_DATABASE_URL = db.url } })
    assert.equal(0, code, out .. err)
    db.session:run "select leat.publish('t', '1'), leat.revoke('t')"

    assert.equal("0", db.session:value "select count(*) from public.caught")
    assert.equal("", db.session:value [[
      select coalesce(string_agg(distinct pg_describe_object(d.refclassid, d.refobjid, 0), ', '), '')
        from pg_depend d
        cross join lateral pg_identify_object(d.classid, d.objid, 0) o
        cross join lateral pg_identify_object(d.refclassid, d.refobjid, 0) r
       where o.schema in ('leat', 'leat_internal') and d.deptype = 'n'
         and r.schema not in ('leat', 'leat_internal', 'pg_catalog')]])
    assert.equal("0", db.session:value [[
      select count(*) from pg_depend d join pg_proc p on p.oid = d.objid and d.classid = 'pg_proc'::regclass
       where p.pronamespace in ('leat'::regnamespace, 'leat_internal'::regnamespace)
         and d.refclassid = 'pg_proc'::regclass and not exists (select from pg_proc r where r.oid = d.refobjid
                          and r.pronamespace in ('leat'::regnamespace, 'leat_internal'::regnamespace,
                                                 'pg_catalog'::regnamespace))]])
    db:drop()
  end)
end)
