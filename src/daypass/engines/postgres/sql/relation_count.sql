select count(*)::int
from pg_class as c
join pg_namespace as s on s.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and s.nspname not in ('pg_catalog', 'information_schema', 'daypass')
  and s.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
