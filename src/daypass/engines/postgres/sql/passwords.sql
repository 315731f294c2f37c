select rolname, rolpassword is not null from pg_authid
