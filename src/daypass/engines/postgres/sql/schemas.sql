select
  n.nspname,
  pg_get_userbyid(n.nspowner),
  exists (select from aclexplode(n.nspacl) as a
    where a.grantee = 0 and a.privilege_type = 'USAGE'),
  exists (select from aclexplode(n.nspacl) as a
    where a.grantee = 0 and a.privilege_type = 'CREATE')
from pg_namespace as n
where n.nspname not in ('pg_catalog', 'information_schema', 'daypass')
  and n.nspname !~ '^(pg_toast|pg_temp_|pg_toast_temp_|dp_v_)'
order by n.nspname
