-- Functions, triggers, a rule and a procedure. Runs as shop_owner, after the rows, so that loading
-- fires nothing.

-- A trigger function written with care: definer's rights to reach the log, and search_path fixed
-- with pg_temp last, so that no temporary object can stand in for anything.
create function app.audit_row() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  as $$
  begin
    insert into app.audit_log (relation, action, old_row, new_row)
    values (
      tg_table_schema || '.' || tg_table_name, tg_op,
      case when tg_op <> 'INSERT' then to_jsonb(old) end,
      case when tg_op <> 'DELETE' then to_jsonb(new) end
    );
    return null;
  end
  $$;
comment on function app.audit_row is 'Write a change of a row to the audit log';
create trigger customers_audit after insert or update or delete on sales.customers
  for each row execute function app.audit_row();

create function sales.touch_row() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
  begin
    new.updated_at := now();
    return new;
  end
  $$;
comment on function sales.touch_row is 'Keep updated_at';
create trigger customers_touch before update on sales.customers
  for each row execute function sales.touch_row();
create trigger orders_touch before update on sales.orders
  for each row execute function sales.touch_row();

-- The same idea without care: ticket_log and coalesce_actor are looked for on the session's
-- search_path, where a temporary table comes first and receives the old body in clear.
create function sales.coalesce_actor(actor text) returns text
  language sql stable as $$ select coalesce(actor, 'nobody') $$;
create function sales.log_ticket() returns trigger
  language plpgsql
  as $$
  begin
    insert into ticket_log (ticket_id, body, changed_by, changed_at)
    values (old.id, old.body, coalesce_actor(current_user::text), now());
    return new;
  end
  $$;
comment on function sales.log_ticket is 'Keep earlier wordings of a ticket';
create trigger support_tickets_log before update on sales.support_tickets
  for each row execute function sales.log_ticket();

-- Announces the clear row to whoever listens: LISTEN needs no privilege at all.
create function sales.announce_member() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
  begin
    perform pg_notify('loyalty', json_build_object('email', new.email, 'points', new.points)::text);
    return null;
  end
  $$;
comment on function sales.announce_member is 'Tell caches that a member changed';
create trigger loyalty_members_announce after insert or update on sales.loyalty_members
  for each row execute function sales.announce_member();

-- A rewrite rule: one UPDATE becomes two statements, the second with the rights of the owner.
create rule legacy_customers_changes as on update to sales."Legacy Customers"
  do also insert into sales.ticket_log (ticket_id, body, changed_by, changed_at)
  values (old."Customer No.", old."E-Mail", current_user, now());

-- Definer's rights, and EXECUTE left to PUBLIC as PostgreSQL does by default: whoever gets USAGE on
-- schema app reads every address in clear, whatever guards the table.
create function app.customer_email(customer_id bigint) returns text
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
  as $$ select c.email::text from sales.customers c where c.id = customer_id $$;
comment on function app.customer_email is 'The address of a customer, for the mailing service';

-- Invoker's rights and unqualified names: works for the application, whose search_path has sales.
create function sales.search_customers(pattern text) returns table (id bigint, full_name text)
  language plpgsql stable
  as $$
  begin
    return query
      select c.id, c.full_name from customers c where c.full_name ilike '%' || pattern || '%'
      order by c.id limit 50;
  end
  $$;
comment on function sales.search_customers is 'Find customers by name';

-- Harmless, in the body style that binds names when the function is made.
create function sales.order_total(wanted bigint) returns numeric
  language sql stable
  begin atomic
    select sum(l.quantity * l.unit_price) from sales.order_lines l where l.order_id = wanted;
  end;
comment on function sales.order_total is 'Sum of an order''s lines';

-- A procedure commits by itself and writes with its caller's rights: only base privileges let
-- anybody CALL it, so no view can carry it.
create procedure billing.close_month(wanted date)
  language plpgsql
  as $$
  begin
    insert into billing.month_closings (month, revenue)
    select date_trunc('month', wanted)::date, coalesce(sum(p.amount), 0)
    from billing.payments p
    where p.paid_at >= date_trunc('month', wanted)
      and p.paid_at < date_trunc('month', wanted) + interval '1 month'
    on conflict (month) do update set revenue = excluded.revenue;
    commit;
  end
  $$;
comment on procedure billing.close_month is 'Write down the revenue of a month';
