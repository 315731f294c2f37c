-- Owners whose relations, or schemas, the admin cannot hand on to others.
select
  pg_get_userbyid(o.owner)::text,
  bool_or(r.rolsuper),
  array_agg(o.name order by o.name) filter (where o.relation),
  array_agg(o.name order by o.name) filter (where not o.relation)
from (
  select c.relowner as owner, format('%I.%I', n.nspname, c.relname) as name, true as relation
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname not in ('pg_catalog', 'information_schema', 'daypass')
    and n.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
    and not pg_has_role(c.relowner, 'usage')
    and not has_table_privilege(c.oid, 'select with grant option')
  union all
  select n.nspowner, format('%I', n.nspname), false
  from pg_namespace as n
  where n.nspname not in ('pg_catalog', 'information_schema', 'daypass')
    and n.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
    and not pg_has_role(n.nspowner, 'usage')
    and not has_schema_privilege(n.oid, 'usage with grant option')
    -- In a schema that everybody may use there is nothing to hand on.
    and not exists (
      select from aclexplode(n.nspacl) as a
      where a.grantee = 0 and a.privilege_type = 'USAGE'
    )
    and exists (
      select from pg_class as c
      where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
    )
) as o
join pg_roles as r on r.oid = o.owner
group by o.owner
order by 1
