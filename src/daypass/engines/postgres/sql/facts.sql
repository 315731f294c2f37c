-- One row of what only this engine understands.
select
  current_database(),
  current_setting('server_version'),
  current_setting('server_version_num'),
  current_user::text,
  exists (
    select from pg_database as d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as a
    where d.datname = current_database() and a.grantee = 0 and a.privilege_type = 'TEMPORARY'
  ),
  exists (
    select from pg_database as d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as a
    where d.datname = current_database() and a.grantee = 0 and a.privilege_type = 'CREATE'
  ),
  (select coalesce(json_agg(e.extname order by e.extname), '[]')::text from pg_extension as e),
  (
    select coalesce(json_agg(json_build_object(
        'role', pg_get_userbyid(d.defaclrole), 'schema', n.nspname, 'objects', d.defaclobjtype,
        'privilege', lower(a.privilege_type)
      )
      order by pg_get_userbyid(d.defaclrole), n.nspname, d.defaclobjtype, a.privilege_type), '[]')::text
    from pg_default_acl as d
    left join pg_namespace as n on n.oid = d.defaclnamespace
    cross join aclexplode(d.defaclacl) as a
    where a.grantee = 0
      -- EXECUTE for PUBLIC is what the server itself gives without any default.
      and d.defaclobjtype in ('r', 'n')
  ),
  (
    select coalesce(json_agg(json_build_array(f.signature, f.used) order by f.signature, f.used), '[]')::text
    from (
      select p.oid::regprocedure::text as signature,
        case d.classid
          when 'pg_operator'::regclass then 'operator ' || d.objid::regoperator::text
          when 'pg_cast'::regclass then (
            select format('cast (%s as %s)', format_type(c.castsource, null),
              format_type(c.casttarget, null))
            from pg_cast as c where c.oid = d.objid
          )
          else 'aggregate ' || d.objid::regprocedure::text
        end as used
      from pg_depend as d
      join pg_proc as p on p.oid = d.refobjid and p.prosecdef
      left join pg_proc as g on d.classid = 'pg_proc'::regclass and g.oid = d.objid
      where d.refclassid = 'pg_proc'::regclass
        and (
          d.classid in ('pg_operator'::regclass, 'pg_cast'::regclass) or g.prokind = 'a'
        )
    ) as f
  ),
  has_table_privilege('pg_catalog.pg_authid', 'select'),
  -- Functions nobody can call by themselves: only a trigger runs them.
  (
    select coalesce(json_agg(p.oid::regprocedure::text order by p.oid::regprocedure::text), '[]')::text
    from pg_proc as p
    where p.prosecdef and p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype)
  )
