-- What relations are made of: (kind, relation, name, made of relation, columns of that relation).
-- `view`: a view's or materialized view's query; `rule`: any other rule, by its event;
-- `generated`: one generated column; `inherits`: a parent, in order.
select
  case when r.rulename = '_RETURN' then 'view' else 'rule' end,
  r.ev_class::bigint,
  case when r.rulename = '_RETURN' then '' else r.ev_type::text end,
  d.refobjid::bigint,
  array_agg(d.refobjsubid::int order by d.refobjsubid)
from pg_rewrite as r
join pg_depend as d
  on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
  and d.refclassid = 'pg_class'::regclass
-- A view's rule depends on the view itself, internally.
where d.refobjid <> r.ev_class or (r.rulename <> '_RETURN' and d.deptype = 'n')
group by 1, 2, 3, 4
union all
select 'generated', a.attrelid::bigint, a.attname, d.refobjid::bigint,
  array_agg(distinct d.refobjsubid::int)
from pg_attribute as a
join pg_attrdef as f on f.adrelid = a.attrelid and f.adnum = a.attnum
join pg_depend as d
  on d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid
  and d.refobjsubid <> 0 and d.refobjsubid <> a.attnum
  and (
    (d.classid = 'pg_attrdef'::regclass and d.objid = f.oid)
    or (d.classid = 'pg_class'::regclass and d.objid = a.attrelid and d.objsubid = a.attnum)
  )
where a.attgenerated <> '' and not a.attisdropped
group by 2, 3, 4
union all
(select 'inherits', i.inhrelid::bigint, '', i.inhparent::bigint, array[i.inhseqno]
from pg_inherits as i
join pg_class as c on c.oid = i.inhrelid
where c.relkind in ('r', 'p', 'f')
order by i.inhrelid, i.inhseqno)
union all
select 'references', k.confrelid::bigint, k.confdeltype::text || k.confupdtype::text,
  k.conrelid::bigint, '{}'::int[]
from pg_constraint as k
where k.contype = 'f' and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))
