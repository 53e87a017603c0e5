"""MySQL and MariaDB: the connection pool, the tables of groups and of relations."""
