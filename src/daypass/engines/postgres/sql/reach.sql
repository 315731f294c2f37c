-- What each role may do by itself or by what it inherits: relations it may read, and write.
select
  r.rolname::text,
  coalesce(array_agg(c.n) filter (
    where has_schema_privilege(r.oid, c.schema, 'usage')
      and has_any_column_privilege(r.oid, c.oid, 'select')
  ), '{}'),
  coalesce(array_agg(c.n) filter (
    where has_schema_privilege(r.oid, c.schema, 'usage')
      and (
        has_any_column_privilege(r.oid, c.oid, 'insert, update')
        or has_table_privilege(r.oid, c.oid, 'delete, truncate')
      )
  ), '{}'),
  coalesce(array_agg(c.n) filter (where c.relowner = r.oid), '{}')
from pg_roles as r
cross join (
  select c.oid, c.relowner, s.oid as schema, row_number() over (order by c.oid)::int as n
  from pg_class as c
  join pg_namespace as s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and s.nspname not in ('pg_catalog', 'information_schema', 'daypass')
    and s.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
) as c
where r.rolname = any (%(roles)s)
group by 1
