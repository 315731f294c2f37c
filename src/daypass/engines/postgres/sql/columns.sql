-- Columns by relation and position; the primary key's are marked.
select
  a.attrelid::bigint,
  a.attname,
  a.attnum::int,
  format_type(a.atttypid, a.atttypmod),
  a.atttypid::bigint,
  a.attnotnull,
  a.attgenerated::text,
  a.attidentity <> '',
  a.atthasdef and a.attgenerated = '',
  coalesce(a.attnum = any (k.conkey), false),
  a.attinhcount > 0,
  coalesce(d.description, '')
from pg_attribute as a
join pg_class as c on c.oid = a.attrelid
join pg_namespace as n on n.oid = c.relnamespace
left join pg_constraint as k on k.conrelid = c.oid and k.contype = 'p'
left join pg_description as d
  on d.classoid = 'pg_class'::regclass and d.objoid = c.oid and d.objsubid = a.attnum
where a.attnum > 0 and not a.attisdropped
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname not in ('pg_catalog', 'information_schema', 'daypass')
  and n.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
order by a.attrelid, a.attnum
