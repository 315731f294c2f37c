-- One row about the admin credential and the server, as the admin sees it.
select
  me.rolname::text as name,
  me.rolsuper as superuser,
  me.rolcreaterole as createrole,
  me.rolcreatedb as createdb,
  me.rolbypassrls as bypassrls,
  me.rolreplication as replication,
  me.rolinherit as inherit,
  me.rolconnlimit as connection_limit,
  has_database_privilege(%(database)s, 'create') as may_create,
  has_database_privilege(%(database)s, 'connect') as may_connect,
  pg_has_role('pg_signal_backend', 'usage') as may_signal,
  array(
    select r.rolname::text from pg_roles as r
    where r.rolname = any (array['pg_execute_server_program', 'pg_read_server_files',
        'pg_write_server_files', 'pg_read_all_data', 'pg_write_all_data'])
      and pg_has_role(r.oid, 'member')
    order by 1
  ) as powers,
  current_setting('max_connections')::int as max_connections,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
  (select coalesce(sum(numbackends), 0)::int from pg_stat_database) as connected,
  (select datconnlimit from pg_database where datname = %(database)s) as database_limit,
  current_setting('client_connection_check_interval') as check_interval,
  current_setting('password_encryption') as password_encryption,
  current_setting('lo_compat_privileges') as open_large_objects,
  coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false)
    or inet_server_addr() is null
    or inet_server_addr() <<= '127.0.0.0/8' or inet_server_addr() = '::1' as private_line,
  pg_is_in_recovery() as standby
from pg_roles as me
where me.rolname = current_user
