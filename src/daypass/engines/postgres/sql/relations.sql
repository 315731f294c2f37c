-- Every relation that holds or shows rows. A definition comes with views only.
select
  c.oid::bigint,
  n.nspname,
  c.relname,
  c.relkind::text,
  c.relispartition,
  pg_get_userbyid(c.relowner),
  c.relrowsecurity,
  greatest(c.reltuples, 0)::bigint,
  coalesce(obj_description(c.oid, 'pg_class'), ''),
  coalesce(acl.public, '{}'),
  coalesce(acl.readers, '{}'),
  case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
  coalesce('security_invoker' in (
    select o.option_name from pg_options_to_table(c.reloptions) as o
    where o.option_value::boolean and o.option_name = 'security_invoker'
  ), false)
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join lateral (
  select
    array_agg(distinct lower(g.privilege_type)) filter (where g.grantee = 0) as public,
    array_agg(distinct r.rolname::text) 
      filter (where g.privilege_type = 'SELECT' and r.oid is not null) as readers
  from (
    select a.grantee, a.privilege_type from aclexplode(c.relacl) as a
    union all
    select a.grantee, a.privilege_type
    from pg_attribute as t, aclexplode(t.attacl) as a
    where t.attrelid = c.oid and t.attacl is not null and not t.attisdropped
  ) as g
  left join pg_roles as r
    on r.oid = g.grantee and g.grantee <> c.relowner and r.rolname !~ '^dp_(s_|g_|views$)'
) as acl on true
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname not in ('pg_catalog', 'information_schema', 'daypass')
  and n.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
order by n.nspname, c.relname
