"""One module and one SQL file per migration."""
