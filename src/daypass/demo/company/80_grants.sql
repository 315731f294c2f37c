-- Who may do what, as it grew. Runs as shop_owner.

grant usage on schema sales, billing to shop_readonly;
grant select on sales.products, sales.stores, sales.orders, sales.order_lines,
  sales.revenue_by_region, sales.open_orders to shop_readonly;
-- Only some columns of customers, so that support sees no cards …
grant select (id, full_name, region, country, created_at) on sales.customers to shop_readonly;
-- … but every address and telephone number by way of these views.
grant select on sales.customer_contacts, sales.vip_contacts to shop_readonly;
grant select on billing.payments, billing.month_closings to shop_readonly;

grant usage on schema sales, billing, app to shop_app;
grant select, insert, update, delete on all tables in schema sales, billing, app to shop_app;
grant usage on all sequences in schema sales, billing, app to shop_app;
grant execute on all routines in schema sales, billing, app to shop_app;
-- A partition of its own grant: reading the child goes around whatever guards the parent.
grant select on billing.payments_2026q4 to shop_readonly;

-- "Just for the test", years ago: everybody may read what was ordered. Nobody can use the schema, so
-- nothing happened so far; any USAGE on sales, such as Daypass might give, would open it.
grant select on sales.order_lines to public;

-- Whatever the owner makes from now on is readable at once: Daypass's own views must not be.
alter default privileges in schema sales grant select on tables to shop_readonly;

-- A one-off help with payroll that nobody took back: a standing privilege outside any native role.
grant usage on schema hr to tom_baker;
grant select on hr.employees to tom_baker;
