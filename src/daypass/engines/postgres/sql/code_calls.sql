-- What such objects, functions, operators and casts call; what came with the server is not listed.
select d.classid::regclass::text, d.objid::bigint, d.refclassid::regclass::text,
  d.refobjid::bigint
from pg_depend as d
where d.deptype in ('n', 'a')
  and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
  and d.classid in (
    'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_constraint'::regclass,
    'pg_attrdef'::regclass, 'pg_rewrite'::regclass, 'pg_class'::regclass, 'pg_proc'::regclass,
    'pg_operator'::regclass, 'pg_cast'::regclass
  )
  -- Of relations, only those that call by themselves: a column's type is read with the column.
  and (d.classid <> 'pg_class'::regclass or d.refclassid <> 'pg_type'::regclass)
