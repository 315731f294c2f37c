-- Functions and procedures of the customer's.
select
  p.oid::bigint,
  n.nspname,
  p.proname,
  p.oid::regprocedure::text,
  l.lanname,
  p.prosecdef,
  exists (
    select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
    where a.grantee = 0 and a.privilege_type = 'EXECUTE'
  ),
  p.provolatile = 'v',
  p.prosqlbody is not null,
  (select substr(s, 13) from unnest(p.proconfig) as s where starts_with(s, 'search_path=')),
  p.prokind = 'a'
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where n.nspname not in ('pg_catalog', 'information_schema', 'daypass')
  and n.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
order by 4
