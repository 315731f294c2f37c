-- What the admin holds, on PostgreSQL 15. Runs as superuser.

grant shop_owner to daypass_admin;
grant shop_readonly, shop_app to daypass_admin with admin option;
