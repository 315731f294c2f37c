-- What may run code: (via, relation or domain, name, detail, class of the object, object).
select 'trigger', t.tgrelid::bigint, t.tgname, t.tgtype::text, 'pg_trigger', t.oid::bigint
from pg_trigger as t
where not t.tgisinternal and t.tgenabled <> 'D'
union all
select 'policy', p.polrelid::bigint, p.polname, p.polcmd::text, 'pg_policy', p.oid::bigint
from pg_policy as p join pg_class as c on c.oid = p.polrelid
where c.relrowsecurity
union all
select case when k.contypid <> 0 then 'domain' else 'check' end,
  case when k.contypid <> 0 then k.contypid else k.conrelid end::bigint,
  k.conname, '', 'pg_constraint', k.oid::bigint
from pg_constraint as k
where k.contype = 'c'
union all
select 'default', f.adrelid::bigint, a.attname, a.attgenerated::text, 'pg_attrdef', f.oid::bigint
from pg_attrdef as f join pg_attribute as a on a.attrelid = f.adrelid and a.attnum = f.adnum
union all
select 'rule', r.ev_class::bigint, r.rulename, r.ev_type::text, 'pg_rewrite', r.oid::bigint
from pg_rewrite as r join pg_class as c on c.oid = r.ev_class
-- A materialized view's query runs at its refresh, for its owner.
where c.relkind <> 'm'
union all
select 'index', i.indrelid::bigint, c.relname, '', 'pg_class', i.indexrelid::bigint
from pg_index as i join pg_class as c on c.oid = i.indexrelid
where i.indexprs is not null or i.indpred is not null
union all
select 'partition', p.partrelid::bigint, 'partition key', '', 'pg_class', p.partrelid::bigint
from pg_partitioned_table as p
where p.partexprs is not null
