\timing on
do $$ declare h text; a bytea; b bytea; begin for k in 1..20000 loop select i.history, s.inner_pad, s.outer_pad into strict h,a,b from leat.installation i, leat.secret s; end loop; end $$;
do $$ declare h text; a bytea; b bytea; begin for k in 1..20000 loop select i.history into strict h from leat.installation i; end loop; end $$;
do $$ declare h text; a bytea; b bytea; begin for k in 1..20000 loop select i.inner_pad into strict h from leat.secret i; end loop; end $$;
do $$ declare h text; a bytea; b bytea; begin for k in 1..20000 loop select i.history into strict h from leat.installation i where only_row; end loop; end $$;
explain analyze select i.history, s.inner_pad, s.outer_pad from leat.installation i, leat.secret s;
select pg_relation_size('leat.installation'), pg_relation_size('leat.secret'), pg_relation_size('leat.pending');
