-- Every login that is not a session's account, with the roles it can act as.
select
  r.rolname::text,
  r.oid = 10,
  r.rolsuper,
  r.rolcreaterole,
  r.rolcreatedb,
  r.rolbypassrls,
  r.rolreplication,
  r.rolvaliduntil is null or r.rolvaliduntil = 'infinity',
  coalesce(r.rolvaliduntil <= now(), false),
  r.rolname = current_user,
  array(
    select g.rolname::text from pg_roles as g
    where g.oid <> r.oid and not r.rolsuper and pg_has_role(r.oid, g.oid, 'MEMBER')
      and (
        -- From 16 a membership may be one to hand on only.
        current_setting('server_version_num')::int < 160000
        or pg_has_role(r.oid, g.oid, 'USAGE') or pg_has_role(r.oid, g.oid, %(become)s)
      )
    order by 1
  ),
  (
    select count(*)::int from pg_stat_activity as a where a.usesysid = r.oid
  ),
  (
    select max(greatest(a.backend_start, a.state_change)) from pg_stat_activity as a
    where a.usesysid = r.oid
  )
from pg_roles as r
where r.rolcanlogin and r.rolname !~ '^dp_g_'
order by r.rolname
