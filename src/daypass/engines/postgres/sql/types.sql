-- Base types, domains and enums; arrays, ranges and composite types are all `other`.
select t.oid::bigint, n.nspname, t.typname, t.typtype::text, t.typcategory::text,
  t.typbasetype::bigint
from pg_type as t
join pg_namespace as n on n.oid = t.typnamespace
where t.typtype in ('b', 'd', 'e') and (t.typcategory <> 'A' or t.typtype = 'd')
