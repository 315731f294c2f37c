-- Roles that are not Daypass's; the server's own only if somebody holds them.
select
  r.rolname,
  r.rolcanlogin,
  r.rolsuper,
  r.rolbypassrls,
  r.rolcreaterole,
  array(
    select distinct m.rolname::text
    from pg_auth_members as g join pg_roles as m on m.oid = g.member
    where g.roleid = r.oid and m.rolname !~ '^dp_(s_|g_|views$)'
    order by 1
  ),
  case
    when r.rolname = current_user then false
    when me.rolsuper then true
    when r.rolsuper then false
    -- Until 15, CREATEROLE grants any role that is not a superuser's.
    when me.rolcreaterole and current_setting('server_version_num')::int < 160000
      and not starts_with(r.rolname, 'pg_') then true
    else pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')
  end,
  case when r.rolvaliduntil is null or r.rolvaliduntil = 'infinity' then null
    else to_char(r.rolvaliduntil at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') end
from pg_roles as r
cross join (select rolsuper, rolcreaterole from pg_roles where rolname = current_user) as me
where r.rolname !~ '^dp_(s_|g_|views$)'
  and (
    not starts_with(r.rolname, 'pg_')
    or exists (
      select from pg_auth_members as g join pg_roles as m on m.oid = g.member
      where g.roleid = r.oid and m.rolname !~ '^dp_(s_|g_|views$)'
        and not starts_with(m.rolname, 'pg_')
    )
  )
order by r.rolname
