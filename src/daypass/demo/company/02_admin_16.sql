-- What the admin holds, from PostgreSQL 16. Runs as superuser.

grant shop_owner to daypass_admin with inherit true, set true;
-- To hand on only: being neither member in effect nor able to become them.
grant shop_readonly, shop_app to daypass_admin with admin true, inherit false, set false;

-- Roles the admin makes are its to use at once, without granting each to itself first.
alter role daypass_admin set createrole_self_grant = 'set, inherit';
