-- What the shop's roles may be. Runs as superuser on every load; the loader made the roles.

-- Nobody signs in as an owner or a native role; they are held.
alter role shop_owner nologin nosuperuser;
alter role shop_readonly nologin nosuperuser;
alter role shop_app nologin nosuperuser;
comment on role shop_owner is 'Owns the shop''s databases';
comment on role shop_readonly is 'Reads orders and payments';
comment on role shop_app is 'What the shop''s services may do';

-- Not a superuser, as no hosted PostgreSQL gives one: it may make roles, and as a member of the
-- owner grant on the owner's tables.
alter role daypass_admin createrole nosuperuser nocreatedb noreplication nobypassrls;
comment on role daypass_admin is 'Daypass''s own account';

comment on role maria_keller is 'Maria Keller, since 2019, for migrations';
comment on role tom_baker is 'Tom Baker, reports';
comment on role nightly_batch is 'Invoicing and newsletters, every night';

-- Settings the batch relies on: its unqualified names, and the tenant native policies believe.
alter role nightly_batch set search_path = sales, billing, app, public;
alter role nightly_batch set app.tenant = 'acme';
